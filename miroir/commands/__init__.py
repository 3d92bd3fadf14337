"""The commands of ``miroir``, one file each: options in, tables or JSON out."""
