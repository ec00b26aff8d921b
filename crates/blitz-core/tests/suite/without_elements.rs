//! Weights without elements, such as the bias of a layer without outputs.

use blitz_core::kernels::without_fused;
use blitz_core::prelude::*;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::net::{families, scalar};
use crate::priors::priors;

fn assert_costs_nothing<const D: usize>(shape: [usize; D], config: &BayesianizeConfig) {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let weight = Param::from_tensor(Tensor::<D>::zeros(shape, &device)).bayesianize(config);
        let renewed = weight.clone().posterior_as_prior();
        let draw = weight.draw(1, 0);
        assert_eq!(weight.val().dims(), shape, "{config:?}");
        assert_eq!(scalar(weight.kl_cost()), 0.0, "{config:?}");
        assert_eq!(scalar(renewed.kl_cost()), 0.0, "{config:?}, renewed");
        let _second = draw.antithetic(&weight, 1).unwrap();
        assert_eq!(weight.val().dims(), shape, "{config:?}");
        assert!(weight.weight_marginals()[0].std_devs.is_empty());
    }
}

#[test]
fn a_weight_without_elements_costs_nothing_under_any_pair() {
    for posterior in families(0.3) {
        let of_a_group = PriorConfig::empirical_normal(Some("group"));
        for prior in priors().into_iter().chain([of_a_group]) {
            let config = BayesianizeConfig::new()
                .with_posterior(posterior.clone())
                .with_prior(prior);
            let check = || {
                assert_costs_nothing([0], &config);
                assert_costs_nothing([0, 3], &config);
            };
            check();
            without_fused(check);
        }
    }
}

#[derive(Module, Debug)]
struct Pair {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

#[test]
fn a_group_has_the_kl_of_its_members_that_have_elements() {
    let device = Device::flex();
    let group = BayesianizeConfig::new().with_prior(PriorConfig::empirical_normal(Some("all")));
    let weight = || Param::from_tensor(Tensor::<2>::ones([2, 3], &device));
    let alone = weight().bayesianize(&group);
    let pair = Pair {
        weight: weight(),
        bias: Param::from_tensor(Tensor::zeros([0], &device)),
    };
    let pair = pair.bayesianize(&group);
    assert_eq!(scalar(pair.kl_cost()), scalar(alone.kl_cost()));
}
