"""Images changed by way of latents: inversion, inpainting, arithmetic, translation."""
