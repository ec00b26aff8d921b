//! How Burn traverses a stack of recurrent layers.
//!
//! Written by hand for one reason, the paths: a derived implementation would put the first layer's gates at
//! `layers.0.forward.input_gate`, and a record of Burn's `Lstm`, which has them at `input_gate`, would not load.

use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::Device;

use super::{Recurrent, RecurrentCell, RecurrentLayer};
use crate::weights::add_families;

/// The container type that Burn's derived modules report for their fields.
const CONTAINER: &str = "Struct:Recurrent";

/// The names and containers on the way from the stack to a cell.
fn steps(layer: usize, direction: Option<&str>) -> Vec<(String, &'static str)> {
    let index = (layer > 0).then(|| {
        [
            ("layers".to_string(), CONTAINER),
            (layer.to_string(), "Vec"),
        ]
    });
    let direction = direction.map(|name| (name.to_string(), CONTAINER));
    index.into_iter().flatten().chain(direction).collect()
}

impl<C: RecurrentCell> Recurrent<C> {
    fn map_cells(self, mut f: impl FnMut(C, Vec<(String, &str)>) -> C) -> Self {
        let layers = self.layers.into_iter().enumerate().map(|(index, layer)| {
            let both = layer.reverse.is_some();
            let [forward, reverse] =
                ["forward", "reverse"].map(|name| steps(index, both.then_some(name)));
            RecurrentLayer {
                forward: f(layer.forward, forward),
                reverse: layer.reverse.map(|cell| f(cell, reverse)),
            }
        });
        let layers = layers.collect();
        Self { layers, ..self }
    }
}

impl<C: RecurrentCell> Module for Recurrent<C> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (index, layer) in self.layers.iter().enumerate() {
            for (cell, name) in layer.cells().zip(["forward", "reverse"]) {
                let steps = steps(index, layer.reverse.as_ref().map(|_| name));
                for (name, container) in &steps {
                    visitor.enter_module(name, container);
                }
                cell.visit(visitor);
                for (name, container) in steps.iter().rev() {
                    visitor.exit_module(name, container);
                }
            }
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.map_cells(|cell, steps| {
            for (name, container) in &steps {
                mapper.enter_module(name, container);
            }
            let cell = cell.map(mapper);
            for (name, container) in steps.iter().rev() {
                mapper.exit_module(name, container);
            }
            cell
        })
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        let cells = self.layers.iter().flat_map(RecurrentLayer::cells);
        cells.fold(devices, |devices, cell| cell.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_cells(|cell, _| cell.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_cells(|cell, _| cell.to_device(device))
    }

    fn train(self) -> Self {
        self.map_cells(|cell, _| cell.train())
    }

    fn valid(&self) -> Self {
        self.clone().map_cells(|cell, _| cell.valid())
    }

    fn materialize(self) -> Self {
        self.map_cells(|cell, _| cell.materialize())
    }
}

impl<C: RecurrentCell> ModuleDisplayDefault for Recurrent<C> {
    fn content(&self, content: Content) -> Option<Content> {
        let cell = &self.layers[0].forward;
        let content = content
            .set_top_level_type(C::LAYER)
            .add("d_input", &cell.d_input())
            .add("d_hidden", &cell.d_hidden())
            .add("bias", &cell.gate().input_transform.bias.is_some())
            .add("num_layers", &self.num_layers())
            .add("bidirectional", &self.is_bidirectional());
        add_families(content, self)
            .add_debug_attribute("estimator", &self.estimator)
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<C: RecurrentCell> ModuleDisplay for Recurrent<C> {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }
}

impl<C: RecurrentCell> std::fmt::Display for Recurrent<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ModuleDisplay::format(self, DisplaySettings::default()))
    }
}
