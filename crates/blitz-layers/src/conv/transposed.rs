//! The Bayesian counterparts of Burn's [`ConvTranspose1d`], [`ConvTranspose2d`] and [`ConvTranspose3d`].

use burn::nn::conv::{
    ConvTranspose1d, ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig,
    ConvTranspose3d, ConvTranspose3dConfig,
};

use super::layer::bayesian_convolution;

bayesian_convolution! {
    /// Applies a 1D transposed convolution with kernels drawn from their posterior.
    ///
    /// See [`BayesianConv2d`](super::BayesianConv2d) for what each estimator computes.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use blitz_layers::conv::BayesianConvTranspose1dConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = BayesianConvTranspose1dConfig::new([4, 2], 3).with_stride(2).init(&device);
    /// let coarse = Tensor::<3>::ones([8, 4, 10], &device);
    /// let output = layer.with_draw(1, 0, |layer| layer.forward(coarse));
    /// assert_eq!(output.dims(), [8, 2, 21]);
    /// ```
    BayesianConvTranspose1d, BayesianConvTranspose1dConfig from ConvTranspose1d, ConvTranspose1dConfig;
    weight: 3 "[channels_in, channels_out / groups, kernel_size]", rows: Inputs;
    input: "[batch_size, channels_in, length_in]" => "[batch_size, channels_out, length_out]";
    channels: {
        /// The number of input and of output channels.
        channels: [usize; 2],
    }
    size: usize = "1";
    padding: usize = "0";
    padding_out: "0";
}

bayesian_convolution! {
    /// Applies a 2D transposed convolution with kernels drawn from their posterior.
    ///
    /// See [`BayesianConv2d`](super::BayesianConv2d) for what each estimator computes.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use blitz_layers::conv::BayesianConvTranspose2dConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = BayesianConvTranspose2dConfig::new([8, 3], [4, 4])
    ///     .with_stride([2, 2])
    ///     .with_padding([1, 1])
    ///     .init(&device);
    /// let coarse = Tensor::<4>::ones([2, 8, 7, 7], &device);
    /// let output = layer.with_draw(1, 0, |layer| layer.forward(coarse));
    /// assert_eq!(output.dims(), [2, 3, 14, 14]);
    /// ```
    BayesianConvTranspose2d, BayesianConvTranspose2dConfig from ConvTranspose2d, ConvTranspose2dConfig;
    weight: 4 "[channels_in, channels_out / groups, kernel_size_1, kernel_size_2]", rows: Inputs;
    input: "[batch_size, channels_in, height_in, width_in]" => "[batch_size, channels_out, height_out, width_out]";
    channels: {
        /// The number of input and of output channels.
        channels: [usize; 2],
    }
    size: [usize; 2] = "[1, 1]";
    padding: [usize; 2] = "[0, 0]";
    padding_out: "[0, 0]";
}

bayesian_convolution! {
    /// Applies a 3D transposed convolution with kernels drawn from their posterior.
    ///
    /// See [`BayesianConv2d`](super::BayesianConv2d) for what each estimator computes.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use blitz_layers::conv::BayesianConvTranspose3dConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = BayesianConvTranspose3dConfig::new([2, 1], [3, 3, 3]).init(&device);
    /// let coarse = Tensor::<5>::ones([1, 2, 4, 5, 6], &device);
    /// let output = layer.with_draw(1, 0, |layer| layer.forward(coarse));
    /// assert_eq!(output.dims(), [1, 1, 6, 7, 8]);
    /// ```
    BayesianConvTranspose3d, BayesianConvTranspose3dConfig from ConvTranspose3d, ConvTranspose3dConfig;
    weight: 5 "[channels_in, channels_out / groups, kernel_size_1, kernel_size_2, kernel_size_3]", rows: Inputs;
    input: "[batch_size, channels_in, depth_in, height_in, width_in]" => "[batch_size, channels_out, depth_out, height_out, width_out]";
    channels: {
        /// The number of input and of output channels.
        channels: [usize; 2],
    }
    size: [usize; 3] = "[1, 1, 1]";
    padding: [usize; 3] = "[0, 0, 0]";
    padding_out: "[0, 0, 0]";
}
