"""How each kind of subject is evaluated: sets of images, numbers, translations of pairs, pairs of files, cycles."""
