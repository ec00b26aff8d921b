//! What a chain remembers of a parameter.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::Device;

/// The state of [`Sgld`](super::Sgld) for one parameter: which noise comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SgldState {
    /// The parameter's stream of noise.
    pub stream: u32,
    /// The number of steps made.
    pub steps: u64,
}

// By hand, since Burn's derive names items at the root of the crate that uses it.
impl RecordState for SgldState {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "stream", u64::from(self.stream).into());
        out.push_scalar(prefix, "steps", self.steps.into());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _device: &Device) -> Option<Self> {
        let stream = u64::try_from(src.take_scalar(prefix, "stream")?).ok()?;
        let steps = u64::try_from(src.take_scalar(prefix, "steps")?).ok()?;
        let stream = u32::try_from(stream).ok()?;
        Some(Self { stream, steps })
    }
}
