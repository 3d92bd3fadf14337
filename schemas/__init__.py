"""Words on the wire: ids, records, events, protocols, errors and settings; no I/O."""
