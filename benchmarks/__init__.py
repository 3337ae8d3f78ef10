"""One file for each thing measured, beside its peers; `README.md` says how to run them."""
