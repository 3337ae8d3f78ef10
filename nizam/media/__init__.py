"""Files under the media root: checked, converted, written whole, served and swept."""
