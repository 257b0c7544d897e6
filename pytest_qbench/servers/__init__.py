"""Model servers that the plugin starts, watches and stops."""
