//! A draw and its KL, linked: whatever a loss makes of the two, the gradients are those of two operations.

use burn::tensor::{DType, Device, Tensor};

use super::*;
use crate::kernels::tests::{NOISE, assert_close, devices, inputs, tensor, values};
use crate::kernels::{draw, normal_sum};

#[test]
fn a_draw_and_its_sum_are_those_of_the_two_operations() {
    for device in devices().into_iter().map(Device::autodiff) {
        for len in [0, 1, 65, 40_000] {
            let (mu, rho) = inputs(len);
            let (mu, rho) = (
                tensor(&mu, &device, DType::F32),
                tensor(&rho, &device, DType::F32),
            );
            let form = NormalSum::kl(0.3);
            let (weight, sum) = draw_and_sum(&mu, &rho, NOISE, form, KlLink::default()).unwrap();
            assert_eq!(values(weight), values(draw(&mu, &rho, NOISE).unwrap()));
            assert_eq!(values(sum), values(normal_sum(&mu, &rho, form).unwrap()));
        }
    }
}

/// The gradients of a loss made of a draw and its KL, with the two linked or apart.
fn of_draw_and_kl(
    device: &Device,
    is_linked: bool,
    loss: impl Fn(Tensor<1>, Tensor<1>, &dyn Fn(Tensor<1>, Tensor<1>, f64) -> Tensor<1>) -> Tensor<1>,
) -> (Vec<f64>, Vec<f64>) {
    let (mu, rho) = inputs(1000);
    let mu = tensor(&mu, device, DType::F32).require_grad();
    let rho = tensor(&rho, device, DType::F32).require_grad();
    let form = NormalSum::kl(0.3);
    let loss = if is_linked {
        let link = KlLink::default();
        let (weight, kl) = draw_and_sum(&mu, &rho, NOISE, form, link.clone()).unwrap();
        loss(weight, kl, &|loss, kl, by| {
            add_linked(loss, kl, by, link.clone())
        })
    } else {
        let weight = draw(&mu, &rho, NOISE).unwrap();
        let kl = normal_sum(&mu, &rho, form).unwrap();
        loss(weight, kl, &|loss, kl, by| loss + kl * by)
    };
    let grads = loss.backward();
    let grad = |of: &Tensor<1>| of.grad(&grads).map_or_else(Vec::new, values);
    (grad(&mu), grad(&rho))
}

#[test]
fn a_linked_kl_has_the_gradient_of_one_that_is_not_whatever_the_loss_does_with_it() {
    for device in devices() {
        whatever_the_loss_does_with_the_kl(&device.autodiff());
    }
}

pub(in crate::kernels) fn whatever_the_loss_does_with_the_kl(device: &Device) {
    type Add<'a> = &'a dyn Fn(Tensor<1>, Tensor<1>, f64) -> Tensor<1>;
    type Loss = fn(Tensor<1>, Tensor<1>, Add<'_>) -> Tensor<1>;
    let losses: [(&str, Loss); 13] = [
        ("both", |w, kl, add| {
            add(w.square().sum().reshape([1]), kl, 0.1)
        }),
        ("both, scaled afterwards", |w, kl, add| {
            add(w.square().sum().reshape([1]), kl, 0.1) * 3.0
        }),
        ("the draw alone", |w, _, _| w.square().sum().reshape([1])),
        ("the KL alone", |_, kl, _| kl * 0.1),
        ("the KL, in a loss without the draw", |w, kl, add| {
            add(w.detach().sum().reshape([1]), kl, 0.1)
        }),
        ("the KL a second time", |w, kl, add| {
            let loss = add(w.square().sum().reshape([1]), kl.clone(), 0.1);
            loss + kl * 0.7
        }),
        ("the KL under a function", |w, kl, _| {
            w.square().sum().reshape([1]) + kl.square() * 1e-6
        }),
        ("the KL added to two losses", |w, kl, add| {
            let first = add(w.clone().square().sum().reshape([1]), kl.clone(), 0.1);
            first + add(w.cos().sum().reshape([1]), kl, 0.7)
        }),
        ("the KL added three times", |w, kl, add| {
            let first = add(w.clone().square().sum().reshape([1]), kl.clone(), 0.1);
            let second = add(w.cos().sum().reshape([1]), kl.clone(), 0.7);
            add(first + second * 2.0, kl, 0.3)
        }),
        (
            "the KL added to two losses and used by itself",
            |w, kl, add| {
                let first = add(w.clone().square().sum().reshape([1]), kl.clone(), 0.1);
                first + add(w.cos().sum().reshape([1]), kl.clone(), 0.7) + kl.square() * 1e-6
            },
        ),
        (
            "two losses, the first of which has the draw",
            |w, kl, add| {
                let without = add(w.clone().detach().cos().sum().reshape([1]), kl.clone(), 0.7);
                add(w.square().sum().reshape([1]), kl, 0.1) + without
            },
        ),
        (
            "two losses, the last of which has the draw, far from it",
            |w, kl, add| {
                let without = add(w.clone().detach().cos().sum().reshape([1]), kl.clone(), 0.7);
                without.square() * 1e-4
                    + add(w.square().square().sqrt().sum().reshape([1]), kl, 0.1)
            },
        ),
        (
            "two losses, one of which is not differentiated",
            |w, kl, add| {
                let _ = add(w.clone().cos().sum().reshape([1]), kl.clone(), 0.7);
                add(w.square().sum().reshape([1]), kl, 0.1)
            },
        ),
    ];
    for (name, loss) in losses {
        let expected = of_draw_and_kl(device, false, loss);
        let got = of_draw_and_kl(device, true, loss);
        let what = format!("{name} on {device:?}");
        assert_close(&got.0, &expected.0, 1e-6, &format!("{what}, mu"));
        assert_close(&got.1, &expected.1, 1e-6, &format!("{what}, rho"));
        assert!(!expected.1.is_empty(), "{what}");
    }
}

#[test]
fn a_frozen_parameter_gets_no_gradient_from_a_linked_draw() {
    let device = Device::flex().autodiff();
    let (m, r) = inputs(100);
    let run = |trains: [bool; 2]| {
        let [mu, rho] = [(&m, trains[0]), (&r, trains[1])].map(|(values, trains)| {
            let tensor = tensor(values, &device, DType::F32);
            if trains {
                tensor.require_grad()
            } else {
                tensor
            }
        });
        let link = KlLink::default();
        let (weight, kl) =
            draw_and_sum(&mu, &rho, NOISE, NormalSum::kl(0.3), link.clone()).unwrap();
        let grads = add_linked(weight.square().sum().reshape([1]), kl, 0.1, link).backward();
        [mu.grad(&grads).map(values), rho.grad(&grads).map(values)]
    };
    let both = run([true, true]);
    assert_eq!(run([true, false]), [both[0].clone(), None]);
    assert_eq!(run([false, true]), [None, both[1].clone()]);
}

#[test]
fn losses_of_the_draw_and_of_its_kl_are_differentiated_one_after_the_other() {
    for device in devices().into_iter().map(Device::autodiff) {
        let (mu, rho) = inputs(1000);
        let mu = tensor(&mu, &device, DType::F32).require_grad();
        let rho = tensor(&rho, &device, DType::F32).require_grad();
        let form = NormalSum::kl(0.3);
        let apart = |kl_first: bool, is_linked: bool| {
            let link = KlLink::default();
            let (weight, kl) = if is_linked {
                draw_and_sum(&mu, &rho, NOISE, form, link.clone()).unwrap()
            } else {
                let kl = normal_sum(&mu, &rho, form).unwrap();
                (draw(&mu, &rho, NOISE).unwrap(), kl)
            };
            let zero = Tensor::zeros([1], &device);
            let kl = if is_linked {
                add_linked(zero, kl, 0.1, link)
            } else {
                zero + kl * 0.1
            };
            let nll = weight.square().sum().reshape([1]);
            let losses = if kl_first { [kl, nll] } else { [nll, kl] };
            losses.map(|loss| {
                let grads = loss.backward();
                [&mu, &rho].map(|of| values(of.grad(&grads).unwrap()))
            })
        };
        for kl_first in [false, true] {
            assert_eq!(apart(kl_first, true), apart(kl_first, false), "{kl_first}");
        }
    }
}

#[test]
#[should_panic(expected = "graph tape has already been consumed")]
fn a_second_backward_pass_of_a_linked_loss_is_refused_by_burn() {
    let device = Device::flex().autodiff();
    let mu = tensor(&[0.5], &device, DType::F32).require_grad();
    let link = KlLink::default();
    let (weight, kl) = draw_and_sum(&mu, &mu, NOISE, NormalSum::kl(0.3), link.clone()).unwrap();
    let loss = add_linked(weight.square(), kl, 0.1, link);
    let _ = loss.backward();
    let _ = loss.backward();
}

#[test]
fn a_linked_kl_of_half_precision_is_beyond_its_range_and_its_gradients_finite() {
    let device = Device::flex().autodiff();
    let (m, r) = inputs(60_000);
    for dtype in [DType::F16, DType::BF16] {
        let of = |is_linked: bool, loss_type: DType| {
            let mu = tensor(&m, &device, dtype).require_grad();
            let rho = tensor(&r, &device, dtype).require_grad();
            let form = NormalSum::kl(0.3);
            let link = KlLink::default();
            let (weight, kl) = if is_linked {
                draw_and_sum(&mu, &rho, NOISE, form, link.clone()).unwrap()
            } else {
                let kl = normal_sum(&mu, &rho, form).unwrap();
                (draw(&mu, &rho, NOISE).unwrap(), kl)
            };
            assert_eq!(kl.dtype(), DType::F32);
            let nll = weight.cast(DType::F32).square().mean().reshape([1]);
            let nll = nll.cast(loss_type);
            let loss = if is_linked {
                add_linked(nll, kl.clone(), 0.01, link)
            } else {
                nll.cast(DType::F32) + kl.clone() * 0.01
            };
            let (kl, loss_value) = (values(kl)[0], values(loss.clone())[0]);
            assert!(
                kl > 65_504.0 && loss_value.is_finite(),
                "{kl}, {loss_value}"
            );
            let grads = loss.backward();
            [&mu, &rho].map(|of| {
                let grad = of.grad(&grads).unwrap();
                assert_eq!(grad.dtype(), dtype);
                values(grad)
            })
        };
        let step = if dtype == DType::F16 { 1e-3 } else { 8e-3 };
        for loss_type in [DType::F32, dtype] {
            let (got, expected) = (of(true, loss_type), of(false, loss_type));
            for (got, expected) in got.iter().zip(&expected) {
                // The sum of two gradients is rounded once less.
                assert_close(got, expected, 2.0 * step, &format!("{dtype:?}"));
            }
        }
    }
}
