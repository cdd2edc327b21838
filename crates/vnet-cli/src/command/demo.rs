//! `vnet demo`: what a plugin does to a ping, on real devices, each step checked.

use std::env;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use vnet::{Attachment, Command, Completed, Device, Direction, Netns, Plugin, Tap};

use crate::failure::Failure;
use crate::output::{self, Paint};
use crate::report;

/// The device's own address, and one that nobody has but the plugin that answers for every address.
const OWN: &str = "10.0.0.1/24";
const PINGED: &str = "10.0.0.2";
/// Longer than the kernel's three ARP requests take, one a second.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Args, Debug)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> Result<i32, Failure> {
    if !in_path("ping") {
        let hint = "install it: apt-get install iputils-ping";
        return Err(Failure::check(
            "the demo pings, and there is no ping here",
            Some(hint),
        ));
    }
    let netns = Netns::private()?;
    // The kernel tells ping over the loopback interface that an address was not found.
    vnet::open("lo", &netns)?.up()?;
    let device = Tap::new("tap0").ip(OWN).netns(netns.clone()).create()?;
    Demo {
        device,
        netns,
        paint: Paint::stdout(),
        number: 0,
    }
    .play()
}

struct Demo {
    device: Device,
    netns: Netns,
    paint: Paint,
    number: u32,
}

impl Demo {
    fn play(mut self) -> Result<i32, Failure> {
        output::data(
            "A TAP device in a network namespace of its own, and WebAssembly plugins on its packets.\n",
        )?;
        let state = self.device.describe()?;
        self.step(&format!("tap0 exists: {state}"))?;
        check(self.device.state()?.up, "tap0 is not up")?;

        self.step(&format!(
            "icmp_echo answers for every address, so {PINGED} can be pinged"
        ))?;
        let echo = self.attach("icmp_echo")?;
        self.answered()?;
        let answered = echo.stats()?.tx + echo.stats()?.appended;
        check(
            answered >= 2,
            "icmp_echo says that it answered neither the ARP request nor the ping",
        )?;

        self.step("drop_bcast comes before icmp_echo: the ARP request is a broadcast, so nobody is found")?;
        echo.detach()?;
        self.device.flush_neighbours()?;
        let filter = self.attach("drop_bcast")?;
        let echo = self.attach("icmp_echo")?;
        self.unanswered()?;
        let dropped = filter.stats()?.dropped;
        check(dropped > 0, "drop_bcast says that it dropped nothing")?;
        self.say(&format!("drop_bcast dropped {dropped} broadcasts"))?;

        self.step("drop_bcast is detached: the same ping passes again")?;
        let filter = filter.detach()?;
        self.device.flush_neighbours()?;
        self.answered()?;

        let table = report::table(&[filter, echo.stats()?], self.paint);
        output::data(&format!("\n{table}\n"))?;
        self.device.close()?;
        output::data(&format!(
            "{} tap0 is gone, and so is its namespace.\n",
            self.paint.green("ok")
        ))?;
        Ok(0)
    }

    fn attach(&self, plugin: &str) -> Result<Attachment, Failure> {
        Ok(self.device.attach(&Plugin::new(plugin), Direction::Ingress)?)
    }

    fn answered(&self) -> Result<(), Failure> {
        let ping = self.ping()?;
        let sentence = format!("{PINGED} did not answer the ping");
        check(ping.returncode == 0, &sentence)
    }

    fn unanswered(&self) -> Result<(), Failure> {
        let ping = self.ping()?;
        check(
            ping.returncode != 0,
            &format!("{PINGED} answered, though it cannot be resolved"),
        )
    }

    /// Pings once and shows the line that says what came of it.
    fn ping(&self) -> Result<Completed, Failure> {
        let argv = ["ping", "-n", "-c1", PINGED];
        self.say(&format!("$ {}", argv.join(" ")))?;
        let completed = Command::new(argv)
            .netns(self.netns.clone())
            .timeout(PATIENCE)
            .run()?;
        let written = String::from_utf8_lossy(completed.stdout.as_deref().unwrap_or_default()).into_owned();
        for line in written.lines().filter(|line| line.contains("icmp_seq")) {
            self.say(&format!("  {line}"))?;
        }
        Ok(completed)
    }

    fn step(&mut self, what: &str) -> Result<(), Failure> {
        self.number += 1;
        output::data(&format!("\n{}. {}\n", self.number, self.paint.bold(what)))
    }

    fn say(&self, what: &str) -> Result<(), Failure> {
        output::data(&format!("   {what}\n"))
    }
}

fn check(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::check(format!("the demo failed: {otherwise}"), None))
    }
}

fn in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| Path::new(&directory).join(program).is_file())
}
