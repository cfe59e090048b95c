"""Tables of one's own: files of any usual format as named columns, and what each column is."""
