//! Posteriors on the factors of Burn's LoRA, and files of what was trained beside a frozen network.
//!
//! Burn adds `scale · a b` to a frozen weight, with `a` of shape `[d_in, r]` and `b` of shape `[r, d_out]`. In the
//! papers' letters, which transpose it, `a` is A and `b` is B.

mod blob;
mod error;
mod factors;
mod record;
mod tfb;

pub use blob::BlobConfig;
pub use error::AdapterError;
pub use record::{AdapterFileError, load_adapter, save_adapter};
pub use tfb::{Tfb, TfbConfig, TfbError};
