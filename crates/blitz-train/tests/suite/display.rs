//! How a model prints.

use blitz_train::Ivon;
use blitz_train::prelude::*;
use burn::nn::LinearConfig;
use burn::tensor::Device;

use crate::LinearNet;

fn model(net: LinearNet, device: &Device) -> ElboModel<LinearNet, GaussianLikelihood> {
    let likelihood = GaussianLikelihoodConfig::new().init(device);
    ElboModel::new(net, likelihood, ElboConfig::new(100).with_samples(3).init())
}

#[test]
fn a_model_prints_network_families_likelihood_and_settings() {
    let device = Device::flex();
    let layer = LinearConfig::new(3, 1).init(&device);
    let matrices = BayesianizeConfig::new().only(WeightFilter::matrices());
    let net = LinearNet {
        layer: layer.bayesianize(&matrices),
    };
    let expected = "\
ElboModel {
  network: LinearNet {
    layer: Linear {d_input: 3, d_output: 1, bias: true, params: 7}
    params: 7
  }
  bayesian: 1 of 2 tensors, posterior: Normal, prior: Normal
  likelihood: GaussianLikelihood {
    log_std: ParamTensor {rank: 1, shape: [1], kind: float}
    is_fixed: false
    params: 1
  }
  elbo: ElboConfig { dataset_size: 100, samples: 3, sampling: Independent, beta: Constant(1.0), validation_samples: 10, seed: 0 }
  steps: 0
  params: 8
}";
    assert_eq!(model(net, &device).to_string(), expected);
}

#[test]
fn a_model_without_posteriors_says_so_and_names_its_updates() {
    let device = Device::flex();
    let net = LinearNet {
        layer: LinearConfig::new(3, 1).init(&device),
    };
    let text = model(net, &device).with_update(Ivon).to_string();
    assert!(text.contains("bayesian: none of 2 tensors"), "{text}");
    assert!(text.contains("updates: [Ivon]"), "{text}");
    for inner in ["Mutex", "Training", "Run", "poisoned"] {
        assert!(!text.contains(inner), "{text}");
    }
}
