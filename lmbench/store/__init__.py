"""Files that are whole or not there: atomic writing, content-addressed folders, manifests."""
