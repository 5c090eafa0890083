"""The Hugging Face Hub: names of its repositories, what is fetched from them and uploaded to them."""
