"""What images are made from: degradations, styles and second folders."""
