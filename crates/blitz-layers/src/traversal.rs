//! How Burn traverses a layer that has the parameters of one of its own.
//!
//! Written by hand for one reason, the name of the container. Burn's stores tell by it what a tensor is: the weight of
//! a `Struct:Linear` is transposed on the way from a PyTorch file and to one, and some types alone are kept in half
//! precision. A derived implementation would call a Bayesian linear layer `Struct:BayesianLinear`; its weight would be
//! taken as it stands, transposed if it is square.

/// Implements `Module` for a layer, as a derive would, but under the name of Burn's layer. Of the fields those named
/// have parameters.
macro_rules! traversed_as {
    ($burn:ident, $layer:ident { $($field:ident),+ }) => {
        const _: () = {
            use blitz_core::fields;
            use burn::module::{
                Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault,
                ModuleMapper, ModuleVisitor,
            };
            use burn::tensor::Device;

            const CONTAINER: &str = concat!("Struct:", stringify!($burn));

            impl Module for $layer {
                fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                    $(fields::visit(visitor, stringify!($field), CONTAINER, &self.$field);)+
                }

                fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
                    Self {
                        $($field: fields::map(mapper, stringify!($field), CONTAINER, self.$field),)+
                        ..self
                    }
                }

                fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
                    $(let devices = Module::collect_devices(&self.$field, devices);)+
                    devices
                }

                fn to_device(self, device: &Device) -> Self {
                    Self { $($field: Module::to_device(self.$field, device),)+ ..self }
                }

                fn fork(self, device: &Device) -> Self {
                    Self { $($field: Module::fork(self.$field, device),)+ ..self }
                }

                fn valid(&self) -> Self {
                    Self { $($field: Module::valid(&self.$field),)+ ..self.clone() }
                }

                fn train(self) -> Self {
                    Self { $($field: Module::train(self.$field),)+ ..self }
                }

                fn materialize(self) -> Self {
                    Self { $($field: Module::materialize(self.$field),)+ ..self }
                }
            }

            impl ModuleDisplayDefault for $layer {
                fn content(&self, content: Content) -> Option<Content> {
                    content.set_top_level_type(stringify!($layer)).optional()
                }

                fn num_params(&self) -> usize {
                    Module::num_params(self)
                }
            }

            impl std::fmt::Display for $layer {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(&ModuleDisplay::format(self, DisplaySettings::default()))
                }
            }
        };
    };
}

pub(crate) use traversed_as;
