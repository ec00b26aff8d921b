//! Every prior family, once: what the tests of blitz-core and blitz-layers share.

use blitz_core::PriorConfig;

/// The deviation of those that are, or begin as, a normal of one.
pub const STD: f64 = 0.7;

pub fn priors() -> [PriorConfig; 8] {
    [
        PriorConfig::normal(STD),
        PriorConfig::learned_normal(STD),
        PriorConfig::empirical_normal(None),
        PriorConfig::laplace(0.5),
        PriorConfig::learned_laplace(0.5),
        PriorConfig::scale_mixture(0.5, 1.0, 0.1),
        PriorConfig::student_t(3.0, 0.5),
        PriorConfig::horseshoe(0.5),
    ]
}
