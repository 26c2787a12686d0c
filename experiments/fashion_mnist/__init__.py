"""Fashion-MNIST over learning rate and weight decay."""
