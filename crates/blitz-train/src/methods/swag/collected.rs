//! What a record of a SWAG posterior says of it beside tensors: how many networks it has, and the factor of its
//! covariance.

use blitz_layers::blitz_core::{ConstantError, Constants};
use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Int, Tensor};

/// The number of networks, a parameter that does not train, and the factor, a constant.
#[derive(Debug, Clone)]
pub(super) struct Collected {
    count: Param<Tensor<1, Int>>,
    /// The factor of the covariance.
    pub scale: f64,
}

impl Collected {
    pub fn new(count: i64, scale: f64, device: &Device) -> Self {
        Self {
            count: Param::initialized(
                Constants::mark(ParamId::new()),
                Tensor::from_data([count], device),
            ),
            scale,
        }
    }

    pub fn count(&self) -> u64 {
        self.count.val().into_scalar::<i64>().max(0) as u64
    }

    /// One network more.
    pub fn next(&self) -> Self {
        let device = self.count.val().device();
        Self::new(self.count() as i64 + 1, self.scale, &device)
    }

    fn constants(&self) -> Constants {
        Constants::new("Swag", [self.scale])
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let scale = values[0];
        let in_range = scale.is_finite() && scale >= 0.0;
        ConstantError::unless(in_range, "scale of SWAG", scale, "finite and not negative")?;
        self.scale = scale;
        Ok(())
    }
}

impl Module for Collected {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.count.visit(visitor);
        self.constants().visit(visitor, &self.count.lazy_device());
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let mut mapped = Self {
            count: Module::map(self.count, mapper),
            scale: self.scale,
        };
        // A record from before the scale was saved has a count without the mark.
        let has_constants = Constants::is_marked(mapped.count.id);
        mapped.count.id = Constants::mark(mapped.count.id);
        if has_constants {
            let device = mapped.count.lazy_device();
            let constants = mapped.constants();
            constants.map(mapper, &device, |values| mapped.set_constants(values));
        }
        mapped
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.count.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            count: self.count.to_device(device),
            ..self
        }
    }

    fn fork(self, device: &Device) -> Self {
        Self {
            count: self.count.fork(device),
            ..self
        }
    }

    fn valid(&self) -> Self {
        Self {
            count: self.count.valid(),
            scale: self.scale,
        }
    }

    fn train(self) -> Self {
        Self {
            count: self.count.train(),
            ..self
        }
    }

    fn materialize(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for Collected {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add("count", &self.count)
            .add("scale", &self.scale)
            .optional()
    }
}

impl ModuleDisplay for Collected {}
