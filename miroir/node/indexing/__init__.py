"""What tasks do to indexes: pure code over the ports that hold indexes."""
