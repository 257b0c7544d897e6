"""Studies: the same items measured in two ways, compared in pairs."""
