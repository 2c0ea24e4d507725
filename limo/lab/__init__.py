"""The lab: LIMO's hypothesis at a size that a laptop holds: problems, a tokenizer, and base models that the project pre-trained itself."""
