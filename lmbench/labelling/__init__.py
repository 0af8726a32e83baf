"""A local page on which landmarks are clicked: the images of a folder, the table they are kept in, the server, proposals."""
