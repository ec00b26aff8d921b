//! What makes a parameter Bayesian: the one type that is attached, the one walk that finds it, and how it gets there.

mod attachment;
mod by_path;
mod convert;
mod error;
mod exchange;
mod filter;
mod identities;
mod module;
mod moped;
mod posteriors;
mod ties;
mod two_places;
mod variational;
mod walk;

pub use attachment::locations;
pub(crate) use attachment::{Attachment, attachments};
pub(crate) use by_path::{MapAt, map_by_path};
pub use by_path::{VisitAt, visit_by_path};
pub use convert::{
    BayesianizeConfig, BuiltinVariational, ExistingPosteriors, WeightRule, attach_where,
};
pub(crate) use convert::{attach_chosen, check_bare};
pub use error::BayesianizeError;
pub(crate) use exchange::{posterior_as_prior, scale_deviations};
pub use filter::WeightFilter;
pub use identities::mistaken_for_one;
pub(crate) use identities::{drawn_as_one, walk_apart, with_own_identities, with_weights_apart};
pub use moped::{MopedConfig, MopedVariational};
pub(crate) use posteriors::Posteriors;
pub(crate) use ties::retie;
pub(crate) use two_places::may_be_two;
pub use variational::Variational;
pub use walk::trains;
pub(crate) use walk::{Walk, Weight, numbers};
