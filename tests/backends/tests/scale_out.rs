//! Bayesian training on Burn's remote devices: servers in threads of this test, on loopback only.
//!
//! The WebSocket transport dials the address it is given. (Iroh, Burn's other one, may ask relays on the internet.)
#![cfg(all(feature = "remote", feature = "flex"))]

use std::net::{Ipv4Addr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blitz_train::fit_on;
use blitz_train::prelude::*;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::distributed::{DistributedConfig, ReduceOperation};
use burn::tensor::{Device, Tensor, Tolerance};
use burn::train::{
    ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining, TrainingStrategy,
};

/// Runs the tests one after the other, and none for ever.
///
/// While a distributed training exists, every backward pass on any remote device of the process takes part in its
/// exchange of gradients, and waits for it.
fn alone(test: impl FnOnce() + Send + 'static) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(catch_unwind(AssertUnwindSafe(test))));
    let result = wait.recv_timeout(Duration::from_secs(120));
    if let Err(panic) = result.expect("the test hangs") {
        resume_unwind(panic);
    }
}

/// Serves `devices` Flex devices from a thread, which ends with the process.
fn serve(devices: usize) -> RemoteHost {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = RemoteHost::websocket(&format!("ws://{}", listener.local_addr().unwrap()));
    let server = RemoteServer::new(vec![Device::flex(); devices]);
    std::thread::spawn(move || server.serve(WebSocketTransport::from_listener(listener)));
    host
}

/// The only device of a server of its own.
fn remote() -> Device {
    Device::remote_options(&serve(1)).init().unwrap()
}

/// Two devices of one server.
fn remote_pair() -> Vec<Device> {
    let host = serve(2);
    let device = |index: usize| Device::remote_options(&host).device_index(index).init();
    vec![device(0).unwrap(), device(1).unwrap()]
}

type Weights = Arc<Mutex<Vec<(Device, Vec<f32>)>>>;

#[derive(Module, Debug)]
struct Net {
    hidden: BayesianLinear,
    output: BayesianLinear,
    /// The weights of the last layer in each forward pass, and where.
    #[module(skip)]
    seen: Weights,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = self.output.forward(self.hidden.forward(input).tanh());
        let weight = self.output.weight.val();
        let values = weight.clone().into_data().try_to_vec::<f32>().unwrap();
        self.seen.lock().unwrap().push((weight.device(), values));
        output
    }
}

/// The same parameters in every run: Burn initializes at random.
struct Ramp;

impl ModuleMapper for Ramp {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let elements = tensor.shape().num_elements();
            let values: Vec<f32> = (0..elements).map(|i| i as f32 * 0.1 - 0.9).collect();
            let values = Tensor::<1>::from_floats(values.as_slice(), &tensor.device());
            values.reshape(tensor.shape()).require_grad()
        })
    }
}

fn net(device: &Device) -> Net {
    let layer = |inputs, outputs| {
        BayesianLinearConfig::new(inputs, outputs)
            .init(device)
            .map(&mut Ramp)
    };
    Net {
        hidden: layer(1, 8),
        output: layer(8, 1),
        seen: Weights::default(),
    }
}

/// An input and a target.
type Row = ([f32; 1], [f32; 1]);

/// y = sin 3x on 32 points.
fn curve() -> Vec<Row> {
    let x = (0..32).map(|i| i as f32 / 16.0 - 1.0);
    x.map(|x| ([x], [(3.0 * x).sin()])).collect()
}

/// The order in which one device meets the batches of 4 that two devices meet side by side.
fn interleaved() -> Vec<Row> {
    let items = curve();
    let (first, second) = items.split_at(16);
    let pairs = first.chunks(4).zip(second.chunks(4));
    pairs.flat_map(|(a, b)| [a, b].concat()).collect()
}

fn loader(items: Vec<Row>) -> Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>> {
    DataLoaderBuilder::new(RowBatcher)
        .batch_size(4)
        .build(InMemDataset::new(items))
}

type Model = ElboModel<Net, GaussianLikelihood>;

fn model(device: &Device) -> Model {
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.3))
        .init(device);
    let elbo = ElboConfig::new(32).with_samples(2).init();
    ElboModel::new(net(device), likelihood, elbo)
}

fn training(folder: &Path, items: Vec<Row>) -> SupervisedTraining<Model> {
    SupervisedTraining::new(folder, loader(items), loader(Vec::new()))
        .metrics((NllMetric::new(), KlMetric::new()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(2)
}

fn learner(model: Model) -> Learner<Model> {
    // Plain descent: Adam would hide a gradient of another length.
    Learner::new(model, SgdConfig::new().init(), 0.01)
}

/// Two epochs, and the weights of the last layer in each training step's draws.
fn train(
    items: Vec<Row>,
    accumulate: usize,
    strategy: ExecutionStrategy,
) -> (Model, Vec<(Device, Vec<f32>)>) {
    let folder = tempfile::tempdir().unwrap();
    let model = model(&strategy.main_device().clone().autodiff());
    let seen = model.network.seen.clone();
    let training = training(folder.path(), items).grads_accumulation(accumulate);
    let model = fit_on(training, learner(model), strategy).unwrap().model;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (model, seen)
}

/// Means and deviations of all weights.
fn parameters(model: &Model) -> Vec<f32> {
    struct Values(Vec<f32>);

    impl burn::module::ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0
                .extend(param.base().into_data().try_to_vec::<f32>().unwrap());
        }
    }

    let mut values = Values(Vec::new());
    model.network.visit(&mut values);
    values.0
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance, "{a} and {b}");
    }
}

#[test]
fn a_remote_device_has_the_draw_the_kl_and_the_gradients_of_a_local_one() {
    alone(|| {
        let (local, remote) = (Device::flex(), remote());
        let [here, there] = [local, remote].map(|device| {
            let device = device.autodiff();
            let net = net(&device);
            let x = Tensor::<2>::from_floats([[-0.5], [0.3], [2.0]], &device);
            let output = net.with_draw(7, 3, |net| net.forward(x));
            let kl = net.kl_cost();
            let grads = (output.clone().sum() + kl.clone()).backward();
            let mut grads = GradientsParams::from_grads(grads, &net);
            let grad = grads.remove::<2>(net.hidden.weight.id).unwrap();
            [output.into_data(), kl.into_data(), grad.into_data()]
        });
        for (here, there) in here.iter().zip(&there) {
            there.assert_approx_eq::<f32>(here, Tolerance::absolute(1e-6));
        }
    });
}

#[test]
fn two_remote_devices_train_as_one_local_device_that_accumulates_two_batches() {
    alone(|| {
        let one = ExecutionStrategy::single(Device::flex().autodiff());
        let (expected, draws) = train(interleaved(), 2, one);
        for (devices, optim) in [
            (vec![remote(), remote()], MultiDeviceOptim::OptimMainDevice),
            (vec![remote(), remote()], MultiDeviceOptim::OptimSharded),
            (remote_pair(), MultiDeviceOptim::OptimMainDevice),
        ] {
            let strategy = ExecutionStrategy::multi(devices.clone(), optim);
            let (model, seen) = train(curve(), 1, strategy);
            assert_eq!(model.steps(), expected.steps());
            assert_close(&parameters(&model), &parameters(&expected), 1e-5);

            // The first worker has the draws of each pair of batches' first, the second of the second.
            for (worker, device) in devices.iter().enumerate() {
                let own = seen.iter().filter(|(on, _)| on == device);
                let mut expected = draws.chunks(2).skip(worker).step_by(2).flatten();
                for (_, weight) in own {
                    assert_close(weight, &expected.next().unwrap().1, 1e-5);
                }
                assert!(expected.next().is_none());
            }
            let kl = model.network.kl_cost().into_scalar::<f32>();
            let expected_kl = expected.network.kl_cost().into_scalar::<f32>();
            assert_close(&[kl], &[expected_kl], 1e-4);
        }
    });
}

fn distributed(devices: &[Device]) -> ExecutionStrategy {
    let all_reduce_op = ReduceOperation::Mean;
    ExecutionStrategy::ddp(devices.to_vec(), DistributedConfig { all_reduce_op })
}

#[test]
#[should_panic(expected = "run a distributed training with `fit_on`")]
fn a_distributed_training_without_the_list_of_its_devices_is_refused() {
    alone(|| {
        let devices = remote_pair();
        let strategy = distributed(&devices);
        let folder = tempfile::tempdir().unwrap();
        let training = training(folder.path(), curve())
            .with_training_strategy(TrainingStrategy::Default(strategy));
        let _ = fit(training, learner(model(&devices[0].clone().autodiff())));
    });
}

#[test]
#[should_panic(expected = "is listed twice")]
fn a_distributed_training_that_lists_a_device_twice_is_refused() {
    alone(|| {
        let device = remote();
        train(curve(), 1, distributed(&[device.clone(), device]));
    });
}

/// Burn's distributed strategy gets to the first backward pass: `docs/scale-out.md`. Should this test fail because the
/// training succeeds, compare it with one device as above.
#[test]
fn distributed_workers_have_draws_of_their_own_up_to_the_all_reduce_that_flex_lacks() {
    alone(|| {
        let one = ExecutionStrategy::single(Device::flex().autodiff());
        let (_, draws) = train(interleaved(), 2, one);

        let devices = remote_pair();
        let strategy = distributed(&devices);
        let folder = tempfile::tempdir().unwrap();
        let model = model(&devices[0].clone().autodiff());
        let seen = model.network.seen.clone();
        let training = training(folder.path(), curve());
        let run = AssertUnwindSafe(|| fit_on(training, learner(model), strategy));
        let panic = catch_unwind(run).map(|_| "it ran").unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(
            message.starts_with("Distributed data parallel"),
            "{message}"
        );

        let seen = seen.lock().unwrap();
        for (device, expected) in devices.iter().zip(draws.chunks(2)) {
            let own: Vec<_> = seen.iter().filter(|(on, _)| on == device).collect();
            assert_eq!(own.len(), 2);
            for ((_, weight), (_, expected)) in own.into_iter().zip(expected) {
                assert_close(weight, expected, 1e-5);
            }
        }
    });
}
