// Generated from ONNX "stripes.onnx" by burn-onnx
extern crate alloc;
use burn::prelude::*;
use burn::nn::BatchNorm;
use burn::nn::BatchNormConfig;
use burn::nn::Linear;
use burn::nn::LinearConfig;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::MaxPool2d;
use burn::nn::pool::MaxPool2dConfig;
use burn::tensor::Bytes;
use burn_store::BurnpackStore;
use burn_store::ModuleSnapshot;


#[derive(Module, Debug)]
pub struct Model {
    conv2d1: Conv2d,
    batchnormalization1: BatchNorm,
    maxpool2d1: MaxPool2d,
    constant12: burn::module::Param<Tensor<1, Int>>,
    linear1: Linear,
    linear2: Linear,
    #[module(skip)]
    device: Device,
}


extern crate std;

impl Default for Model {
    fn default() -> Self {
        Self::from_file("stripes.bpk", &Default::default())
    }
}

impl Model {
    /// Load model weights from a burnpack file.
    pub fn from_file<P: AsRef<std::path::Path>>(file: P, device: &Device) -> Self {
        let mut model = Self::new(device);
        let mut store = BurnpackStore::from_file(&file);
        model
            .load_from(&mut store)
            .unwrap_or_else(|e| {
                panic!("Failed to load burnpack file {}: {e}", file.as_ref().display())
            });
        model
    }

    /// Load model weights from in-memory bytes.
    ///
    /// The bytes must be the contents of a `.bpk` file.
    pub fn from_bytes(bytes: Bytes, device: &Device) -> Self {
        let mut model = Self::new(device);
        let mut store = BurnpackStore::from_bytes(Some(bytes));
        model
            .load_from(&mut store)
            .unwrap_or_else(|e| panic!("Failed to load burnpack bytes: {e}"));
        model
    }
}

impl Model {
    #[allow(unused_variables)]
    pub fn new(device: &Device) -> Self {
        let conv2d1 = Conv2dConfig::new([1, 4], [3, 3])
            .with_stride([1, 1])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let batchnormalization1 = BatchNormConfig::new(4)
            .with_epsilon(0.000009999999747378752f64)
            .with_momentum(0.8999999761581421f64)
            .init(device);
        let maxpool2d1 = MaxPool2dConfig::new([2, 2])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Valid)
            .with_dilation([1, 1])
            .with_ceil_mode(false)
            .init();
        let constant12: burn::module::Param<Tensor<1, Int>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
                Int,
            >::zeros([1], (device, burn::tensor::DType::I64)),
            device.clone(),
            false,
            [1].into(),
        );
        let linear1 = LinearConfig::new(64, 16).with_bias(true).init(device);
        let linear2 = LinearConfig::new(16, 3).with_bias(true).init(device);
        Self {
            conv2d1,
            batchnormalization1,
            maxpool2d1,
            constant12,
            linear1,
            linear2,
            device: device.clone(),
        }
    }

    #[allow(clippy::let_and_return, clippy::approx_constant)]
    pub fn forward(&self, image: Tensor<4>) -> Tensor<2> {
        let shape1_out1: [i64; 1] = {
            let axes = &image.clone().dims()[0..1];
            let mut output = [0i64; 1];
            for i in 0..1 {
                output[i] = axes[i] as i64;
            }
            output
        };
        let squeeze1_out1 = shape1_out1[0] as i64;
        let conv2d1_out1 = self.conv2d1.forward(image);
        let batchnormalization1_out1 = self.batchnormalization1.forward(conv2d1_out1);
        let relu1_out1 = burn::tensor::activation::relu(batchnormalization1_out1);
        let maxpool2d1_out1 = self.maxpool2d1.forward(relu1_out1);
        let constant12_out1 = self.constant12.val();
        let concat1_out1 = {
            let scalar_as_tensor_0: Tensor<1, Int> = Tensor::from_data(
                burn::tensor::TensorData::from([squeeze1_out1]),
                (&self.device, burn::tensor::DType::I64),
            );
            burn::tensor::Tensor::cat([scalar_as_tensor_0, constant12_out1].into(), 0)
        };
        let shape_data = concat1_out1.to_data();
        let shape_array = shape_data.as_slice::<i64>().unwrap();
        let reshape2_out1 = maxpool2d1_out1
            .reshape([shape_array[0] as usize, shape_array[1] as usize]);
        let linear1_out1 = self.linear1.forward(reshape2_out1);
        let relu2_out1 = burn::tensor::activation::relu(linear1_out1);
        let linear2_out1 = self.linear2.forward(relu2_out1);
        linear2_out1
    }
}
