"""The contract of the store, by noun. :class:`mig_core.testing.store_contract.StoreContract` is all of it together."""
