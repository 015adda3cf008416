"""Result files to a terminal table, charts and one self-contained page."""
