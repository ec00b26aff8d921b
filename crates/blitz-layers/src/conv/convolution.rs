//! The Bayesian counterparts of Burn's [`Conv1d`], [`Conv2d`] and [`Conv3d`].

use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig};
use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};

use super::layer::bayesian_convolution;

bayesian_convolution! {
    /// Applies a 1D convolution with kernels drawn from their posterior.
    ///
    /// See [`BayesianConv2d`] for what each estimator computes.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use burn::nn::PaddingConfig1d;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = BayesianConv1dConfig::new(2, 4, 3).with_padding(PaddingConfig1d::Same).init(&device);
    /// let series = Tensor::<3>::ones([8, 2, 30], &device);
    /// let output = layer.with_draw(1, 0, |layer| layer.forward(series));
    /// assert_eq!(output.dims(), [8, 4, 30]);
    /// assert_eq!(layer.num_bayesian_weights(), 2 * 4 * 3 + 4);
    /// ```
    BayesianConv1d, BayesianConv1dConfig from Conv1d, Conv1dConfig;
    weight: 3 "[channels_out, channels_in / groups, kernel_size]", rows: Outputs;
    input: "[batch_size, channels_in, length_in]" => "[batch_size, channels_out, length_out]";
    channels: {
        /// The number of input channels.
        channels_in: usize,
        /// The number of output channels.
        channels_out: usize,
    }
    size: usize = "1";
    padding: PaddingConfig1d = "PaddingConfig1d::Valid";
}

bayesian_convolution! {
    /// Applies a 2D convolution with kernels drawn from their posterior.
    ///
    /// `O = W ∗ I + b`, with `W` and `b` drawn once per [draw](blitz_core::Draw) and shared by the batch; or, with
    /// [local reparameterization](crate::Estimator::LocalReparameterization), `O ~ N(M ∗ I + m, S² ∗ I² + s²)` for each
    /// row and position on its own, where `M, m` are the means and `S, s` the deviations of `W, b`; or, with
    /// [flipout](crate::Estimator::Flipout), with the signs of the draw's perturbation flipped for each row, by one
    /// sign for each input and output channel, so that the positions of a row still share their kernels.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = BayesianConv2dConfig::new([3, 8], [3, 3])
    ///     .with_stride([2, 2])
    ///     .with_estimator(Estimator::Flipout)
    ///     .init(&device);
    /// let images = Tensor::<4>::ones([5, 3, 28, 28], &device);
    /// let output = layer.with_draw(1, 0, |layer| layer.forward(images));
    /// assert_eq!(output.dims(), [5, 8, 13, 13]);
    /// assert_eq!(layer.num_bayesian_weights(), 8 * 3 * 3 * 3 + 8);
    /// ```
    BayesianConv2d, BayesianConv2dConfig from Conv2d, Conv2dConfig;
    weight: 4 "[channels_out, channels_in / groups, kernel_size_1, kernel_size_2]", rows: Outputs;
    input: "[batch_size, channels_in, height_in, width_in]" => "[batch_size, channels_out, height_out, width_out]";
    channels: {
        /// The number of input and of output channels.
        channels: [usize; 2],
    }
    size: [usize; 2] = "[1, 1]";
    padding: PaddingConfig2d = "PaddingConfig2d::Valid";
}

bayesian_convolution! {
    /// Applies a 3D convolution with kernels drawn from their posterior.
    ///
    /// See [`BayesianConv2d`] for what each estimator computes.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = BayesianConv3dConfig::new([1, 2], [3, 3, 3]).init(&device);
    /// let volume = Tensor::<5>::ones([1, 1, 6, 7, 8], &device);
    /// let output = layer.with_draw(1, 0, |layer| layer.forward(volume));
    /// assert_eq!(output.dims(), [1, 2, 4, 5, 6]);
    /// assert_eq!(layer.num_bayesian_weights(), 2 * 27 + 2);
    /// ```
    BayesianConv3d, BayesianConv3dConfig from Conv3d, Conv3dConfig;
    weight: 5 "[channels_out, channels_in / groups, kernel_size_1, kernel_size_2, kernel_size_3]", rows: Outputs;
    input: "[batch_size, channels_in, depth_in, height_in, width_in]" => "[batch_size, channels_out, depth_out, height_out, width_out]";
    channels: {
        /// The number of input and of output channels.
        channels: [usize; 2],
    }
    size: [usize; 3] = "[1, 1, 1]";
    padding: PaddingConfig3d = "PaddingConfig3d::Valid";
}
