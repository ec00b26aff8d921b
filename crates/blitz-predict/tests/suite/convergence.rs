//! R-hat, effective sample sizes and E-BFMI: against ArviZ, and what they say of chains that can't be judged.

use blitz_predict::InputError;
use blitz_predict::blitz_noise::NoiseKey;
use blitz_predict::convergence::{
    MIN_DRAWS, e_bfmi, ess_bulk, ess_tail, r_hat, summary, try_e_bfmi, try_ess_bulk, try_ess_tail,
    try_r_hat, try_summary,
};

use crate::convergence_reference::{E_BFMI, R_HAT_OF_FOUR, SETS};

fn near(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-8 * expected.abs().max(1.0)
}

#[test]
fn diagnostics_are_those_of_arviz() {
    for ((name, chains, [r, bulk, tail]), bfmi) in SETS.iter().zip(E_BFMI) {
        let got = [r_hat(chains), ess_bulk(chains), ess_tail(chains)];
        let together = summary(chains);
        assert_eq!(got, [together.r_hat, together.ess_bulk, together.ess_tail]);
        let expected = [*r, *bulk, *tail];
        for (what, (got, expected)) in ["r-hat", "bulk", "tail"]
            .iter()
            .zip(got.iter().zip(expected))
        {
            // ArviZ gives none of a single chain.
            if !expected.is_nan() {
                assert!(near(*got, expected), "{name}: {what} {got} for {expected}");
            }
        }
        let got = e_bfmi(chains[0]);
        assert!(near(got, bfmi), "{name}: E-BFMI {got} for {bfmi}");
    }
}

#[test]
fn independent_draws_are_worth_their_number() {
    let chains: Vec<Vec<f64>> = (0..4)
        .map(|chain| {
            let mut draws = vec![0.0f32; 1000];
            NoiseKey::new(3, chain, 0).fill_standard_normal(0, &mut draws);
            draws.into_iter().map(f64::from).collect()
        })
        .collect();
    assert!((r_hat(&chains) - 1.0).abs() < 0.01);
    // The estimate's own deviation is about 3 % here.
    assert!(
        (ess_bulk(&chains) / 4000.0 - 1.0).abs() < 0.15,
        "{}",
        ess_bulk(&chains)
    );
    assert!(
        (ess_tail(&chains) / 4000.0 - 1.0).abs() < 0.15,
        "{}",
        ess_tail(&chains)
    );
}

#[test]
fn diagnostics_depend_on_ranks_alone_in_the_bulk() {
    let (_, chains, _) = SETS[0];
    let skewed: Vec<Vec<f64>> = chains
        .iter()
        .map(|chain| chain.iter().map(|x| x.exp()).collect())
        .collect();
    assert_eq!(ess_bulk(chains), ess_bulk(&skewed));
    let moved: Vec<Vec<f64>> = chains
        .iter()
        .map(|chain| chain.iter().map(|x| 3.0 * x - 100.0).collect())
        .collect();
    assert!(near(r_hat(chains), r_hat(&moved)));
}

#[test]
fn diagnostics_of_numbers_near_the_largest_and_the_least_are_those_of_small_ones() {
    for (_, chains, _) in SETS {
        let largest = chains
            .iter()
            .copied()
            .flatten()
            .fold(0.0, |most: f64, x| most.max(x.abs()));
        // By a power of two, which rounds nothing.
        let unit = 2f64.powi(1023 - largest.log2().ceil() as i32);
        let large: Vec<Vec<f64>> = chains
            .iter()
            .map(|chain| chain.iter().map(|x| x * unit).collect())
            .collect();
        assert_eq!(r_hat(chains), r_hat(&large));
        assert_eq!(ess_tail(chains), ess_tail(&large));
        assert_eq!(e_bfmi(chains[0]), e_bfmi(&large[0]));
        let small: Vec<f64> = chains[0].iter().map(|x| x * 2f64.powi(-900)).collect();
        assert_eq!(e_bfmi(chains[0]), e_bfmi(&small));
    }
    let least = f64::from_bits(1);
    let apart = [0.0, 1.0, 0.0, 1.0, 1.0];
    for unit in [least, 1e-165, 1e155, f64::MAX] {
        let got = e_bfmi(&apart.map(|x| x * unit));
        assert!(near(got, e_bfmi(&apart)), "{unit:e}: {got}");
    }
    // No difference of these is a number.
    let ends = [-1.0, 1.0, -1.0, 1.0, 1.0];
    assert_eq!(e_bfmi(&ends), e_bfmi(&ends.map(|x| x * f64::MAX)));
}

/// By `convergence_reference.py`, in fractions: the first four draws, two of which are equally far from the median.
#[test]
fn r_hat_does_not_depend_on_the_unit() {
    let draws = [-1.68486607, 1.46415148, -1.36883743, 1.19565712];
    for unit in [1.0, 2.0, 3.0, 0.1, 10.0, 100.0, 1e-9, 0.7, 1e300] {
        let got = r_hat(&[draws.map(|draw| draw * unit)]);
        assert!(near(got, R_HAT_OF_FOUR), "{unit}: {got}");
    }
}

#[test]
fn chains_that_stand_still_apart_have_an_infinite_r_hat() {
    assert_eq!(r_hat(&[[1.0; 8], [2.0; 8]]), f64::INFINITY);
    // A single chain that jumped half-way.
    assert_eq!(
        r_hat(&[[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]]),
        f64::INFINITY
    );
}

#[test]
fn chains_that_cant_be_judged_are_refused_by_name() {
    let few = InputError::TooFewDraws {
        needed: MIN_DRAWS,
        got: 3,
    };
    assert_eq!(try_r_hat(&[[1.0, 2.0, 3.0]]), Err(few.clone()));
    assert_eq!(try_ess_bulk(&[[1.0, 2.0, 3.0]]), Err(few.clone()));
    assert_eq!(try_e_bfmi(&[1.0, 2.0, 3.0]), Err(few));
    let constant = Err(InputError::Constant { value: 2.0 });
    let still = [[2.0; 10]; 3];
    assert_eq!(try_r_hat(&still), constant);
    assert_eq!(try_ess_bulk(&still), constant);
    assert_eq!(try_ess_tail(&still), constant);
    assert_eq!(try_summary(&still).map(|_| 0.0), constant);
    assert_eq!(try_e_bfmi(&still[0]), constant);
    let none: [[f64; 4]; 0] = [];
    assert!(matches!(try_r_hat(&none), Err(InputError::Empty { .. })));
    let uneven = [vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 2.0, 3.0, 4.0, 5.0]];
    assert!(matches!(try_r_hat(&uneven), Err(InputError::Length { .. })));
    let holed = [[1.0, f64::NAN, 3.0, 4.0]];
    assert!(matches!(
        try_ess_tail(&holed),
        Err(InputError::Value { index: 1, .. })
    ));
}

#[test]
fn chains_that_sit_apart_are_judged_in_a_moment() {
    // Every lag of 200,000 draws is needed: by sums some 10¹⁰ products.
    let chains: Vec<Vec<f64>> = (0..2)
        .map(|chain| {
            let mut draws = vec![0.0f32; 200_000];
            NoiseKey::new(5, chain, 0).fill_standard_normal(0, &mut draws);
            let noise = draws.into_iter().map(f64::from);
            noise.map(|z| 0.01 * z + chain as f64).collect()
        })
        .collect();
    let (bulk, tail) = (ess_bulk(&chains), ess_tail(&chains));
    // Of 400,000 draws.
    assert!(bulk < 4.0 && tail < 40.0, "{bulk}, {tail}");
}
