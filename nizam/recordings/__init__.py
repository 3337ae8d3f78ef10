"""What becomes of recorded files: checked, told of, moved on to object storage, given out, kept
for as long as they are to be, and deleted with a receipt."""
