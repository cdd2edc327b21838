//! Chances and distributions are those asked for, within what chance itself allows. All keys are fixed.

use vnet_impair::{Dropped, LineStats};

use crate::drive::{MS, S, line, send};

const FRAMES: u64 = 100_000;

fn stats(seed: u8, entries: &[(&str, &str)]) -> LineStats {
    let mut line = line(seed, entries);
    for n in 0..FRAMES {
        let _ = line.offer(n, 100u32, n);
        line.poll(n, &mut |_| {});
    }
    line.stats(FRAMES)
}

#[test]
fn loss_is_inside_the_binomial_interval() {
    const KEYS: u8 = 20;
    for p in [0.001, 0.002, 0.01, 0.05, 0.1, 0.25, 0.5] {
        let text = format!("{}%", p * 100.0);
        let error = 2.576 * (FRAMES as f64 * p * (1.0 - p)).sqrt();
        let inside = (0..KEYS).filter(|seed| {
            let lost = stats(*seed, &[("loss", &text)]).lost as f64;
            (lost - FRAMES as f64 * p).abs() <= error
        });
        // Of 20 runs 19.8 are inside a 99 % interval; fewer than 18 is less likely than 1 in 900.
        assert!(inside.count() >= 18, "loss {text}");
    }
}

#[test]
fn correlation_keeps_the_rate_and_makes_runs() {
    for p in [0.001, 0.01, 0.1, 0.5] {
        let independent = stats(1, &[("loss", &format!("{}%", p * 100.0))]);
        for correlation in [0.25, 0.75] {
            let stats = stats(
                1,
                &[("loss", &format!("{}% {}%", p * 100.0, correlation * 100.0))],
            );
            let inflation = (1.0 + correlation) / (1.0 - correlation);
            let error = 3.5 * (FRAMES as f64 * p * (1.0 - p) * inflation).sqrt();
            let off = stats.lost as f64 - FRAMES as f64 * p;
            assert!(
                off.abs() < error,
                "{} lost at {p} with correlation {correlation}",
                stats.lost
            );
            let mean = |stats: &LineStats| stats.loss_bursts.mean.expect("frames were lost");
            assert!(
                mean(&stats) > mean(&independent),
                "no longer runs at {p} with correlation {correlation}"
            );
        }
    }
}

#[test]
fn correlated_events_follow_the_gaussian_copula() {
    // Both of two neighbours are hit with 1/4 + asin(correlation) / 2 pi at p = 1/2 (Sheppard).
    for correlation in [0.25, 0.5, 0.9] {
        let mut line = line(3, &[("loss", &format!("50% {}%", correlation * 100.0))]);
        let mut lost = Vec::new();
        for n in 0..FRAMES {
            lost.push(line.offer(n, 100u32, n).is_err());
        }
        let both = lost.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64 / FRAMES as f64;
        let expected = 0.25 + f64::asin(correlation) / std::f64::consts::TAU;
        assert!(
            (both - expected).abs() < 0.01,
            "{both} and not {expected} at {correlation}"
        );
    }
}

#[test]
fn bursts_of_a_gilbert_channel_are_geometric() {
    for (p, r) in [(0.01, 0.25), (0.05, 0.5), (0.002, 0.1)] {
        let stats = stats(5, &[("loss", &format!("gemodel {}% {}%", p * 100.0, r * 100.0))]);
        let (count, bursts) = (stats.loss_bursts.count as f64, &stats.loss_bursts);
        // The channel's memory widens the interval of the rate.
        let mean = p / (p + r);
        assert!((stats.loss_asked - mean).abs() < 1e-12);
        let memory = 1.0 - p - r;
        let error = 2.576 * (mean * (1.0 - mean) / FRAMES as f64 * (1.0 + memory) / (1.0 - memory)).sqrt();
        let realised = stats.loss_realised.expect("frames came");
        assert!((realised - mean).abs() < error, "{realised} lost and not {mean}");
        let length = bursts.mean.expect("frames were lost");
        let error = 2.576 * ((1.0 - r) / (r * r) / count).sqrt();
        assert!(
            (length - 1.0 / r).abs() < error,
            "runs of {length} and not {}",
            1.0 / r
        );
        // Chi-square over the lengths that are expected at least ten times, the rest as one class.
        let expected = |length: i32| count * r * (1.0 - r).powi(length - 1);
        let classes = (1..).take_while(|length| expected(*length) >= 10.0).count();
        let seen = |at: usize| bursts.lengths.get(at).copied().unwrap_or(0) as f64;
        let mut chi: f64 = (0..classes)
            .map(|at| (seen(at) - expected(at as i32 + 1)).powi(2) / expected(at as i32 + 1))
            .sum();
        let rest: f64 = (classes..bursts.lengths.len()).map(seen).sum();
        let expected_rest = count * (1.0 - r).powi(classes as i32);
        chi += (rest - expected_rest).powi(2) / expected_rest;
        // The 99 % quantile of chi-square by Wilson and Hilferty.
        let degrees = classes as f64;
        let limit = degrees * (1.0 - 2.0 / (9.0 * degrees) + 2.326 * (2.0 / (9.0 * degrees)).sqrt()).powi(3);
        assert!(chi < limit, "chi-square {chi} above {limit} at p {p} r {r}");
    }
}

#[test]
fn a_gilbert_elliott_channel_loses_by_state() {
    let stats = stats(2, &[("loss", "gemodel 1% 10% 70% 0.1%")]);
    let expected = (0.01 * 0.7 + 0.1 * 0.001) / 0.11;
    assert!((stats.loss_asked - expected).abs() < 1e-12);
    assert!(
        (stats.loss_realised.expect("frames came") - expected).abs() < 0.004,
        "{stats:?}"
    );
}

/// Returns the delays of many frames in ms.
fn delays(entries: &[(&str, &str)]) -> Vec<f64> {
    let mut line = line(4, entries);
    let seen = send(&mut line, FRAMES, 100, S);
    assert!(seen.iter().all(|seen| !seen.is(Dropped::Loss)));
    seen.iter()
        .map(|seen| (seen.at - seen.frame * S) as f64 / MS as f64)
        .collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean, variance.sqrt())
}

#[test]
fn distributions_have_the_asked_mean_and_deviation() {
    for (distribution, deviation) in [
        ("uniform", 10.0 / 3f64.sqrt()),
        ("normal", 10.0),
        ("pareto", 10.0),
        ("paretonormal", 10.0),
    ] {
        for correlation in ["0%", "50%"] {
            let delays = delays(&[
                ("delay", "200ms"),
                ("jitter", "10ms"),
                ("distribution", distribution),
                ("correlation", correlation),
            ]);
            let (mean, sd) = moments(&delays);
            assert!((mean - 200.0).abs() < 0.25, "{distribution} has mean {mean} ms");
            assert!(
                (sd / deviation - 1.0).abs() < 0.02,
                "{distribution} has deviation {sd} ms"
            );
        }
    }
}

#[test]
fn uniform_jitter_stays_inside_and_pareto_has_its_cut() {
    let range = |distribution| {
        let delays = delays(&[
            ("delay", "100ms"),
            ("jitter", "10ms"),
            ("distribution", distribution),
        ]);
        delays.iter().fold((f64::MAX, f64::MIN), |(least, most), delay| {
            (least.min(*delay), most.max(*delay))
        })
    };
    let (least, most) = range("uniform");
    assert!(
        (90.0..90.01).contains(&least) && (109.99..=110.0).contains(&most),
        "uniform {least} to {most}"
    );
    let (least, most) = range("pareto");
    assert!(
        (92.27..92.29).contains(&least) && (149.12..149.14).contains(&most),
        "pareto {least} to {most}"
    );
}

#[test]
fn delays_correlate_as_asked() {
    for correlation in [0.25, 0.75] {
        let text = format!("{}%", correlation * 100.0);
        let delays = delays(&[
            ("delay", "200ms"),
            ("jitter", "10ms"),
            ("distribution", "normal"),
            ("correlation", &text),
        ]);
        let (mean, sd) = moments(&delays);
        let lag = delays
            .windows(2)
            .map(|pair| (pair[0] - mean) * (pair[1] - mean))
            .sum::<f64>()
            / FRAMES as f64;
        let realised = lag / (sd * sd);
        assert!(
            (realised - correlation).abs() < 0.01,
            "{realised} and not {correlation}"
        );
    }
}

#[test]
fn a_delay_is_never_below_none() {
    let delays = delays(&[("delay", "1ms"), ("jitter", "10ms"), ("distribution", "normal")]);
    let none = delays.iter().filter(|delay| **delay == 0.0).count() as f64 / FRAMES as f64;
    // The normal distribution is below -0.1 deviations with 46 %.
    assert!((none - 0.4602).abs() < 0.01, "{none} take no delay");
}
