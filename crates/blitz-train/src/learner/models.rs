//! The networks of `blitz-layers` as the training takes them.

use blitz_layers::models::{LeNet, Vgg};
use burn::tensor::Tensor;

use super::Network;

impl Network for LeNet {
    type Input = Tensor<4>;
    type Output = Tensor<2>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        LeNet::forward(self, images)
    }
}

impl Network for Vgg {
    type Input = Tensor<4>;
    type Output = Tensor<2>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        Vgg::forward(self, images)
    }
}
