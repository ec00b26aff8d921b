//! What the six convolutions have in common, which is all but their names and ranks.

/// Declares a Bayesian convolution and its configuration from Burn's.
///
/// Burn has no trait over its six convolutions, and its derives want each struct's fields in full, so nothing but a
/// macro can write them once. It is declarations and hand-over only: what is computed is Burn's own `forward`, run by
/// [`estimate`](crate::estimator::estimate) with weights of its choice.
///
/// Single tokens are matched as `tt`: Burn's `Config` derive accepts nothing else as a default.
macro_rules! bayesian_convolution {
    (
        $(#[$doc:meta])*
        $layer:ident, $config:ident from $burn:ident, $burn_config:ident;
        weight: $rank:tt $weight:literal, rows: $rows:ident;
        input: $input:literal => $output:literal;
        channels: { $($(#[$channels_doc:meta])* $channels:ident: $channels_type:tt,)+ }
        size: $size:tt = $one:tt;
        padding: $padding:tt = $no_padding:tt;
        $($padding_out:ident: $none:tt;)?
    ) => {
        #[doc = concat!("Configuration to create a [`", stringify!($layer), "`] layer using the [init function](", stringify!($config), "::init).")]
        ///
        /// | field | default | meaning |
        /// |---|---|---|
        $(#[doc = concat!("| `", stringify!($channels), "` | | channels, as in Burn's `", stringify!($burn_config), "` |")])+
        #[doc = concat!("| `kernel_size` | | the kernel's size, `", stringify!($size), "` |")]
        #[doc = concat!("| `stride`, `dilation` | ", $one, " | steps of the kernel, and between its elements |")]
        /// | `groups` | 1 | groups of channels that are convolved apart |
        #[doc = concat!("| `padding` | `", $no_padding, "` | as in Burn's `", stringify!($burn_config), "` |")]
        $(#[doc = concat!("| `", stringify!($padding_out), "` | ", $none, " | size added to one end of the output |")])?
        /// | `bias` | true | whether a bias is added; it is Bayesian as well |
        /// | `weights` | [`WeightsConfig`](crate::weights::WeightsConfig)'s | posterior, prior and initial means of weight and bias |
        /// | `estimator` | shared weights | how the output is sampled |
        #[derive(burn::config::Config, Debug)]
        pub struct $config {
            $($(#[$channels_doc])* pub $channels: $channels_type,)+
            /// The size of the kernel.
            pub kernel_size: $size,
            /// The stride of the convolution.
            #[config(default = $one)]
            pub stride: $size,
            /// Spacing between kernel elements.
            #[config(default = $one)]
            pub dilation: $size,
            /// Controls the connections between input and output channels.
            #[config(default = "1")]
            pub groups: usize,
            /// The padding configuration.
            #[config(default = $no_padding)]
            pub padding: $padding,
            $(
                /// The padding output configuration.
                #[config(default = $none)]
                pub $padding_out: $size,
            )?
            /// If bias should be added to the output.
            #[config(default = true)]
            pub bias: bool,
            /// The posterior, the prior and the initial means of weight and bias.
            #[config(default = "crate::weights::WeightsConfig::new()")]
            pub weights: crate::weights::WeightsConfig,
            /// How the output is sampled.
            #[config(default = "crate::estimator::Estimator::SharedWeights")]
            pub estimator: crate::estimator::Estimator,
        }

        $(#[$doc])*
        ///
        #[doc = concat!("Should be created with [`", stringify!($config), "`].")]
        #[derive(Clone, Debug)]
        pub struct $layer {
            #[doc = concat!("Tensor of shape `", $weight, "`: the posterior's means, with the posterior attached.")]
            pub weight: burn::module::Param<burn::tensor::Tensor<$rank>>,
            /// Tensor of shape `[channels_out]`, likewise.
            pub bias: Option<burn::module::Param<burn::tensor::Tensor<1>>>,
            /// Stride of the convolution.
            pub stride: $size,
            /// Size of the kernel.
            pub kernel_size: $size,
            /// Spacing between kernel elements.
            pub dilation: $size,
            /// Controls the connections between input and output channels.
            pub groups: usize,
            /// The padding configuration.
            pub padding: $padding,
            $(
                /// The padding output configuration.
                pub $padding_out: $size,
                /// The number of channels.
                pub channels: [usize; 2],
            )?
            /// How the output is sampled.
            pub estimator: crate::estimator::Estimator,
        }

        crate::traversal::traversed_as!($burn, $layer { weight, bias });

        crate::weights::configures_weights! {
            $config => $layer, ;
            /// Panics with the value if there are no channels, if they don't divide into the groups, if the kernel's
            /// size, the stride or the dilation is zero on an axis, or if the [estimator](crate::estimator::Estimator)
            /// doesn't allow a posterior.
        }

        impl $config {
            /// The means alone.
            pub(crate) fn deterministic(&self, device: &burn::tensor::Device) -> $layer {
                use crate::conv::check::{self, Axes};

                check::config(
                    &[$(self.$channels.axes()),+].concat(),
                    self.groups,
                    &[
                        ("kernel size", &self.kernel_size),
                        ("stride", &self.stride),
                        ("dilation", &self.dilation),
                    ],
                );
                let burn = $burn_config::new($(self.$channels,)+ self.kernel_size);
                let burn = $burn_config {
                    $($channels: self.$channels,)+
                    kernel_size: self.kernel_size,
                    stride: self.stride,
                    dilation: self.dilation,
                    groups: self.groups,
                    // That of the configuration says nothing of the weights, and Burn refuses some in three dimensions.
                    padding: burn.padding,
                    $($padding_out: self.$padding_out,)?
                    bias: self.bias,
                    initializer: self.weights.initializer_or(burn.initializer),
                };
                let $burn { weight, bias, .. } = burn.init(device);
                $layer {
                    weight,
                    bias,
                    stride: self.stride,
                    kernel_size: self.kernel_size,
                    dilation: self.dilation,
                    groups: self.groups,
                    padding: self.padding.clone(),
                    $(
                        $padding_out: self.$padding_out,
                        channels: self.channels,
                    )?
                    estimator: self.estimator,
                }
            }
        }

        impl $layer {
            /// Applies the forward pass on the input tensor.
            ///
            /// # Shapes
            ///
            #[doc = concat!("- input: `", $input, "`")]
            #[doc = concat!("- output: `", $output, "`")]
            ///
            /// # Randomness
            ///
            /// Under an open [draw](blitz_core::Draw), its joint sample of the weights; otherwise a fresh sample each
            /// call.
            ///
            /// # Panics
            ///
            /// Panics if the input's channels are not the layer's, or if the kernel and the padding leave no position
            /// for the output.
            pub fn forward(&self, input: burn::tensor::Tensor<$rank>) -> burn::tensor::Tensor<$rank> {
                let (input, padding) = self.padded(input);
                crate::estimator::estimate(
                    self.estimator,
                    crate::axes::LayerAxes {
                        features: crate::axes::Features::Second,
                        rows: crate::axes::Rows::$rows,
                        groups: self.groups,
                    },
                    input,
                    &self.weight,
                    self.bias.as_ref(),
                    |input, weight, bias| {
                        use crate::windows::Convolve;

                        self.burn(weight, bias, padding.clone()).convolve(input)
                    },
                )
            }

            /// The input, with the zeros that Burn cannot add, and the padding that adds the others.
            fn padded(&self, input: burn::tensor::Tensor<$rank>) -> (burn::tensor::Tensor<$rank>, $padding) {
                use crate::conv::check::{Axes, Fits, Window};
                use crate::conv::padding::Pad;

                let window = Window {
                    kernel_size: self.kernel_size.axes(),
                    stride: self.stride.axes(),
                    dilation: self.dilation.axes(),
                    padding: (&self.padding, $(&self.$padding_out)?),
                };
                window.assert_fits(&input.dims()[2..]);
                window.pad(input)
            }

            /// Burn's layer with these weights and this padding.
            fn burn(
                &self,
                weight: burn::tensor::Tensor<$rank>,
                bias: Option<burn::tensor::Tensor<1>>,
                padding: $padding,
            ) -> $burn {
                use crate::weights::for_one_call;

                $burn {
                    weight: for_one_call(weight),
                    bias: bias.map(for_one_call),
                    stride: self.stride,
                    kernel_size: self.kernel_size,
                    dilation: self.dilation,
                    groups: self.groups,
                    padding,
                    $(
                        $padding_out: self.$padding_out,
                        channels: self.channels,
                    )?
                }
            }
        }

        /// Exact at each position, of independent inputs, whatever the estimator. That positions share their kernels is
        /// lost.
        impl crate::moments::ForwardMoments<crate::moments::Moments<$rank>> for $layer {
            type Output = crate::moments::Moments<$rank>;

            /// # Panics
            ///
            #[doc = concat!("As [`forward`](", stringify!($layer), "::forward).")]
            fn forward_moments(&self, input: crate::moments::Moments<$rank>) -> crate::moments::Moments<$rank> {
                let (mean, padding) = self.padded(input.mean);
                let input = crate::moments::Moments {
                    mean,
                    variance: input.variance.map(|variance| self.padded(variance).0),
                };
                crate::moments::propagate(
                    crate::axes::Features::Second,
                    input,
                    &self.weight,
                    self.bias.as_ref(),
                    |input, weight, bias| {
                        use crate::windows::Convolve;

                        self.burn(weight, bias, padding.clone()).convolve(input)
                    },
                )
            }
        }

        impl burn::module::ModuleDisplay for $layer {
            fn custom_settings(&self) -> Option<burn::module::DisplaySettings> {
                burn::module::DisplaySettings::new()
                    .with_new_line_after_attribute(false)
                    .optional()
            }

            fn custom_content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                // With the means: Burn's layer reads its weight for the shape, and a sampled one would take noise from
                // the process-wide stream.
                let burn = self.burn(self.weight.base(), None, self.padding.clone());
                let content = burn::module::ModuleDisplay::custom_content(&burn, content)?
                    .add("bias", &self.bias.is_some());
                crate::weights::add_families(content, self)
                    .add_debug_attribute("estimator", &self.estimator)
                    .optional()
            }
        }
    };
}

pub(super) use bayesian_convolution;
