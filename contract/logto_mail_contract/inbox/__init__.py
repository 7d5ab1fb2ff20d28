"""The inbox core: deliveries, matching, waiting."""
