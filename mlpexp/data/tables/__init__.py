"""The user's own tables: files of any usual format as named columns, and the kind of each column."""
