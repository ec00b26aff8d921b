//! The weight of the KL term over the course of a training.

use burn::config::Config;

use crate::error::ConfigError;

/// The weight β of the KL at each optimizer step, relative to the ELBO's own weight of 1.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub enum BetaSchedule {
    /// β at every step. 1 is the ELBO; less gives a cold posterior.
    Constant(f64),
    /// From 0 at step 0 up to `to`, reached at step `steps` and kept.
    ///
    /// Lets the means fit the data before the prior pulls at them (Sønderby et al., *Ladder variational autoencoders*,
    /// 2016).
    LinearWarmup {
        /// The number of optimizer steps until `to`.
        steps: u64,
        /// The final weight.
        to: f64,
    },
    /// Cycles of `steps` optimizer steps: in each the weight rises from 0 up to `to` over the share `rising` of the
    /// cycle, and is `to` for the rest.
    ///
    /// Each cycle begins again from weights that fit the data, away from where the prior had pulled them (Fu et al., *Cyclical
    /// annealing schedule: a simple approach to mitigating KL vanishing*, 2019, with `rising` a half). End a training
    /// at the end of a cycle.
    Cyclic {
        /// The number of optimizer steps of a cycle, at least 1.
        steps: u64,
        /// The share of a cycle over which the weight rises, in [0, 1].
        rising: f64,
        /// The weight for the rest of it.
        to: f64,
    },
    /// Blundell et al. (2015), section 3.4: within each epoch of M minibatches, minibatch i = 1 … M has a share of
    /// `2^(M−i) / (2^M − 1)` of the KL, so the first ones feel mostly the prior and the last ones the data.
    ///
    /// As a weight that averages to 1 over the epoch, `β_i = M 2^(M−i) / (2^M − 1)`. M is at least 1.
    ///
    /// β goes by optimizer steps: M is their number in an epoch, that of the batches only where each is a step. Losses
    /// whose gradients are accumulated for one step have one β.
    Minibatches(usize),
    /// The same the other way round, as in BLoB (Wang et al. 2024): minibatch i = 1 … M of an epoch has the share
    /// `2^(i−1) / (2^M − 1)`, so the first ones feel the data and the last ones mostly the prior. As a weight that
    /// averages to 1, `β_i = M 2^(i−1) / (2^M − 1)`. M is at least 1, and the number of optimizer steps as there.
    RisingMinibatches(usize),
}

impl BetaSchedule {
    /// β at optimizer step `step`, counted from 0.
    ///
    /// ```
    /// use blitz_train::prelude::*;
    ///
    /// let warmup = BetaSchedule::LinearWarmup { steps: 10, to: 1.0 };
    /// assert_eq!((warmup.at(0), warmup.at(5), warmup.at(99)), (0.0, 0.5, 1.0));
    /// let cyclic = BetaSchedule::Cyclic { steps: 10, rising: 0.5, to: 1.0 };
    /// assert_eq!((cyclic.at(0), cyclic.at(2), cyclic.at(7), cyclic.at(12)), (0.0, 0.4, 1.0, 0.4));
    /// let blundell = BetaSchedule::Minibatches(2);
    /// assert_eq!((blundell.at(0) / 2.0, blundell.at(1) / 2.0), (2.0 / 3.0, 1.0 / 3.0));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if an epoch has no minibatches or a cycle no steps, which
    /// [`ElboConfig::try_init`](crate::ElboConfig::try_init) refuses.
    pub fn at(&self, step: u64) -> f64 {
        match *self {
            Self::Constant(beta) => beta,
            Self::LinearWarmup { steps, to } => {
                if step >= steps {
                    to
                } else {
                    to * step as f64 / steps as f64
                }
            }
            Self::Cyclic { steps, rising, to } => {
                assert!(steps > 0, "a cycle needs at least 1 step, got 0");
                let passed = (step % steps) as f64 / steps as f64;
                if passed >= rising {
                    to
                } else {
                    to * passed / rising
                }
            }
            Self::Minibatches(minibatches) => falling(minibatches, place(step, minibatches)),
            Self::RisingMinibatches(minibatches) => {
                let place = place(step, minibatches);
                falling(minibatches, minibatches as u64 - 1 - place)
            }
        }
    }

    /// The weight that the schedule settles at, or averages to: what validation uses.
    pub fn settled(&self) -> f64 {
        match *self {
            Self::Constant(beta)
            | Self::LinearWarmup { to: beta, .. }
            | Self::Cyclic { to: beta, .. } => beta,
            Self::Minibatches(_) | Self::RisingMinibatches(_) => 1.0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match *self {
            Self::Constant(beta)
            | Self::LinearWarmup { to: beta, .. }
            | Self::Cyclic { to: beta, .. }
                if !(beta.is_finite() && beta >= 0.0) =>
            {
                Err(ConfigError::new(
                    "beta",
                    beta,
                    "a finite weight of at least 0",
                ))
            }
            Self::Cyclic { steps: 0, .. } => {
                Err(ConfigError::new("beta steps", 0, "at least 1 step a cycle"))
            }
            Self::Cyclic { rising, .. } if !(0.0..=1.0).contains(&rising) => Err(ConfigError::new(
                "beta rising",
                rising,
                "a share of the cycle, from 0 to 1",
            )),
            Self::Minibatches(0) | Self::RisingMinibatches(0) => Err(ConfigError::new(
                "beta minibatches",
                0,
                "at least 1 minibatch an epoch",
            )),
            _ => Ok(()),
        }
    }
}

/// How many minibatches of its epoch come before `step`.
fn place(step: u64, minibatches: usize) -> u64 {
    assert!(
        minibatches > 0,
        "a schedule over the minibatches of an epoch needs at least 1 of them, got 0"
    );
    step % minibatches as u64
}

/// `M 2^(M−i) / (2^M − 1)` for minibatch i = 1 … M, which is `place + 1`.
fn falling(minibatches: usize, place: u64) -> f64 {
    let m = minibatches as f64;
    let i = (place + 1) as f64;
    // Divided through by 2^M, which would overflow at M = 1024.
    m * (-i).exp2() / (1.0 - (-m).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minibatch_weights_average_to_one_over_an_epoch_of_any_length() {
        for minibatches in [1, 2, 10, 5000] {
            let schedule = BetaSchedule::Minibatches(minibatches);
            let epoch: f64 = (0..minibatches as u64).map(|step| schedule.at(step)).sum();
            assert!((epoch / minibatches as f64 - 1.0).abs() < 1e-12);
            assert_eq!(schedule.at(0), schedule.at(minibatches as u64));
        }
    }

    #[test]
    fn rising_weights_are_the_falling_ones_backwards() {
        let (rising, falling) = (
            BetaSchedule::RisingMinibatches(5),
            BetaSchedule::Minibatches(5),
        );
        for step in 0..10 {
            let mirrored = 5 * (step / 5) + 4 - step % 5;
            assert_eq!(rising.at(step), falling.at(mirrored));
        }
        // 3 · 2² / 7
        assert!((BetaSchedule::RisingMinibatches(3).at(2) - 12.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn a_cycle_rises_over_its_share_and_stays() {
        let schedule = |rising| BetaSchedule::Cyclic {
            steps: 4,
            rising,
            to: 2.0,
        };
        let two_cycles = |rising| (0..8).map(|step| schedule(rising).at(step)).collect();
        let halves: Vec<f64> = two_cycles(0.5);
        assert_eq!(halves, [0.0, 1.0, 2.0, 2.0, 0.0, 1.0, 2.0, 2.0]);
        let whole: Vec<f64> = two_cycles(1.0);
        assert_eq!(whole, [0.0, 0.5, 1.0, 1.5, 0.0, 0.5, 1.0, 1.5]);
        let constant: Vec<f64> = two_cycles(0.0);
        assert_eq!(constant, [2.0; 8]);
    }

    #[test]
    fn what_a_schedule_settles_at_is_its_last_weight_or_its_average() {
        let warm_up = BetaSchedule::LinearWarmup { steps: 3, to: 0.2 };
        assert_eq!((warm_up.settled(), warm_up.at(3)), (0.2, 0.2));
        let cyclic = BetaSchedule::Cyclic {
            steps: 4,
            rising: 0.5,
            to: 0.3,
        };
        assert_eq!((cyclic.settled(), cyclic.at(7)), (0.3, 0.3));
        assert_eq!(BetaSchedule::Constant(0.1).settled(), 0.1);
        for schedule in [
            BetaSchedule::Minibatches(7),
            BetaSchedule::RisingMinibatches(7),
        ] {
            let average = (0..7).map(|step| schedule.at(step)).sum::<f64>() / 7.0;
            assert!((schedule.settled() - average).abs() < 1e-12);
        }
    }

    #[test]
    fn a_warm_up_of_no_steps_is_constant() {
        assert_eq!(BetaSchedule::LinearWarmup { steps: 0, to: 0.7 }.at(0), 0.7);
    }
}
