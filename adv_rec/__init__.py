"""adv_rec: adversarial learning for e-commerce in JAX."""

__version__ = "0.1.0"
