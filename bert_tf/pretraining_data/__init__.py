"""Makes pre-training records: the program behind `create_pretraining_data.py`."""
