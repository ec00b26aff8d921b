//! Networks that can't be computed in `f64`, and which of their layers may be at fault.
//!
//! Burn's operations take tensors of one type. A layer that makes a tensor in its forward, or that holds one which is
//! no parameter, has it of the type that its device makes by default: `f32`, unless the program has configured the
//! device.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::module::{Module, ModuleVisitor};

use crate::error::McmcError;

/// Layers of Burn's that do so.
const OF_THE_DEVICES_TYPE: [&str; 7] = [
    "Lstm",
    "BiLstm",
    "Gru",
    "BiGru",
    "Rnn",
    "BiRnn",
    "PositionalEncoding",
];

/// What `compute` returns, or why it can't.
///
/// Burn has no other way to ask than to try: what clashes is a panic.
pub(super) fn in_f64<M: Module, T>(
    module: &M,
    compute: impl FnOnce(&M) -> T,
) -> Result<T, McmcError> {
    // What the closure leaves half done is not looked at: there is no density then.
    catch_unwind(AssertUnwindSafe(|| compute(module))).or_else(|payload| {
        match text(&*payload) {
            // The CPU backend says so of two types, whatever the operation.
            Some(reason) if reason.contains("dtype") => Err(McmcError::Precision {
                layers: of_the_devices_type(module),
                reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
            }),
            _ => resume_unwind(payload),
        }
    })
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
}

/// The paths and types of the layers that are known to clash.
fn of_the_devices_type<M: Module>(module: &M) -> Vec<String> {
    #[derive(Default)]
    struct Find {
        path: Vec<String>,
        found: Vec<String>,
    }

    impl ModuleVisitor for Find {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            // Told with each field of a layer, whose path ends before the field.
            if let Some(layer) = container_type.strip_prefix("Struct:")
                && OF_THE_DEVICES_TYPE.contains(&layer)
            {
                let path = match self.path.is_empty() {
                    true => "the network".into(),
                    false => self.path.join("."),
                };
                let layer = format!("{path} ({layer})");
                if !self.found.contains(&layer) {
                    self.found.push(layer);
                }
            }
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
    }

    let mut find = Find::default();
    module.visit(&mut find);
    find.found
}
