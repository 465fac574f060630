//! `pinsight-bench numa`: a worker that reads slots of its own node against one that reads another's.
//!
//! For each pair of nodes a thread on the one reads frames in slots that are bound to the other: once
//! from end to end, as preprocessing does, and once along a random path of dependent reads, which shows
//! the latency of memory alone. Where the pages really are is read back from the kernel.

use crate::error::BenchError;
use crate::harness::machine::pin;
use crate::harness::memory::{describe, lane_of, tables};
use crate::report::figures::ratio;
use crate::report::{Bar, Plot, Report, Table};
use clap::Args;
use pinsight::frame::FrameMeta;
use pinsight::ring::TapNeed;
use pinsight::sys::clock::now_ns;
use pinsight::sys::cpu::topology::{self, Topology};
use serde::Serialize;
use std::hint::black_box;
use std::path::Path;

/// Slots of a pair: more than any last-level cache holds.
const SLOTS: u16 = 64;
/// Bytes from one read to the next on the random path: one line.
const LINE: usize = 64;

/// What is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = Settings::default().frame_bytes)]
    frame_bytes: u32,
    /// Times that all slots are read
    #[arg(long, default_value_t = Settings::default().rounds)]
    rounds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frame_bytes: 1920 * 1080 * 3 / 2,
            rounds: 4,
        }
    }
}

/// The figures of one pair of nodes.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// Node of the worker.
    worker_node: usize,
    /// Its core.
    core: usize,
    /// Node of the slots.
    slots_node: usize,
    /// Share of the slots' pages that are not on the worker's node.
    pages_off_node: f64,
    /// Frames read from end to end.
    bandwidth_bytes_per_s: f64,
    /// One dependent read, mean.
    read_latency_ns: f64,
}

/// Measures every pair of nodes.
///
/// # Errors
/// A setting that cannot be measured, or a machine that does not give memory of a node.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    if settings.frame_bytes < 4096 || settings.rounds == 0 {
        return Err(BenchError::Setting(
            "expected frames of at least 4096 bytes, and at least 1 round".into(),
        ));
    }
    let machine = topology::read(Path::new("/")).map_err(BenchError::machine)?;
    let nodes: Vec<_> = machine
        .machine
        .nodes
        .iter()
        .map(|node| node.index)
        .collect();
    let mut rows = Vec::new();
    let mut memory = String::new();
    for &slots_node in &nodes {
        for (worker_node, core) in workers(&machine) {
            progress(&format!(
                "worker on node {worker_node}, slots on node {slots_node}"
            ));
            let (row, described) = measure(settings, worker_node, core, slots_node)?;
            rows.push(row);
            memory = described;
        }
    }
    Ok(report(settings, nodes.len(), memory, &rows))
}

/// One core of each node that has one for this process.
fn workers(machine: &Topology) -> Vec<(usize, usize)> {
    let mut workers: Vec<(usize, usize)> = Vec::new();
    for core in machine.machine.cores.iter().filter(|core| core.allowed) {
        if workers.iter().all(|worker| worker.0 != core.node) {
            workers.push((core.node, core.index));
        }
    }
    workers
}

fn measure(
    settings: &Settings,
    worker_node: usize,
    core: usize,
    slots_node: usize,
) -> Result<(Row, String), BenchError> {
    let bytes = settings.frame_bytes;
    let every = TapNeed {
        capacity: 32,
        readers: 1,
        leases: 24,
    };
    let (arena, mut slots) = tables(1, SLOTS, bytes.into(), Some(slots_node))?;
    let (mut producer, tap) = lane_of(0, slots.remove(0), every)?;
    let placement = arena.region().placement_now();
    let on_node = placement.on_node.get(worker_node).copied().unwrap_or(0);
    let memory = describe(&arena);
    std::thread::scope(|scope| {
        let run = scope.spawn(move || {
            pin(Some(core))?;
            let (mut read_bytes, mut read_ns) = (0_u64, 0_u64);
            let (mut hops, mut hops_ns) = (0_u64, 0_u64);
            for round in 0..settings.rounds * u32::from(SLOTS) {
                let mut slot = producer
                    .take_free()
                    .ok_or_else(|| BenchError::Machine("no free slot".into()))?;
                path(producer.payload_mut(&mut slot));
                let meta = FrameMeta {
                    bytes_used: bytes,
                    ..FrameMeta::default()
                };
                let filled = producer.fill(slot, &meta).map_err(BenchError::machine)?;
                producer.publish(filled);
                // Claimed only when the ring is full: its frame has left the caches by then.
                if round + 1 < 32 {
                    continue;
                }
                let Ok(Some(lease)) = tap.claim_oldest() else {
                    continue;
                };
                let begun_ns = now_ns();
                let walked = walk(lease.payload());
                let walked_ns = now_ns();
                black_box(sum(lease.payload()));
                read_ns += now_ns() - walked_ns;
                read_bytes += u64::from(bytes);
                hops += walked;
                hops_ns += walked_ns - begun_ns;
            }
            #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
            let row = Row {
                worker_node,
                core,
                slots_node,
                pages_off_node: 1.0 - on_node as f64 / placement.pages.max(1) as f64,
                bandwidth_bytes_per_s: read_bytes as f64 * 1e9 / read_ns.max(1) as f64,
                read_latency_ns: hops_ns as f64 / hops.max(1) as f64,
            };
            Ok((row, memory))
        });
        run.join()
            .map_err(|_| BenchError::Machine("a thread of the experiment died".into()))?
    })
}

/// Lines of a frame that the random path visits.
fn lines(payload: &[u8]) -> usize {
    (payload.len() / LINE).clamp(2, 4096)
}

/// Writes a path through the lines: each holds the number of the next. Steps of an odd number of lines
/// through a power of two of them, far enough apart that no prefetcher follows.
fn path(payload: &mut [u8]) {
    let count = 1 << lines(payload).ilog2();
    let spread = payload.len() / LINE / count;
    let mut at = 0;
    for _ in 0..count {
        // A full period: the increment is odd and the multiplier one above a multiple of four.
        let next = (at * 1_229 + 2_539) % count;
        let place = at * spread * LINE;
        payload[place..place + 4].copy_from_slice(&u32::try_from(next).unwrap_or(0).to_le_bytes());
        at = next;
    }
}

/// Follows the path once; the number of reads.
fn walk(payload: &[u8]) -> u64 {
    let count = 1 << lines(payload).ilog2();
    let spread = payload.len() / LINE / count;
    let mut at = 0;
    for _ in 0..count {
        let place = at * spread * LINE;
        let next = payload[place..place + 4]
            .try_into()
            .map_or(0, u32::from_le_bytes);
        at = usize::try_from(next).unwrap_or(0);
    }
    black_box(at);
    count as u64
}

/// Reads every byte.
fn sum(payload: &[u8]) -> u64 {
    let (words, _) = payload.as_chunks::<8>();
    words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .fold(0, u64::wrapping_add)
}

fn report(settings: &Settings, nodes: usize, memory: String, rows: &[Row]) -> Report {
    let cells = |row: &Row| {
        let local = rows.iter().find(|local| {
            local.worker_node == row.worker_node && local.slots_node == row.worker_node
        });
        vec![
            format!(
                "worker on node {} (core {}), slots on node {}",
                row.worker_node, row.core, row.slots_node
            ),
            format!("{:.0}", row.pages_off_node * 100.0),
            format!("{:.2}", row.bandwidth_bytes_per_s / 1e9),
            ratio(
                row.bandwidth_bytes_per_s,
                local.map_or(0.0, |local| local.bandwidth_bytes_per_s),
            ),
            format!("{:.0}", row.read_latency_ns),
            ratio(
                row.read_latency_ns,
                local.map_or(0.0, |local| local.read_latency_ns),
            ),
        ]
    };
    let mut notes = vec!["ratios to the same worker with slots on its own node".to_owned()];
    if nodes <= 1 {
        notes.push(
            "this machine has one node: no memory is far, and there is nothing to compare".into(),
        );
    }
    Report {
        bench: "numa",
        question: "slot and worker on one node, and apart".into(),
        conditions: vec![
            ("nodes", nodes.to_string()),
            (
                "slots",
                format!(
                    "{SLOTS} of {} bytes for each pair, {memory}",
                    settings.frame_bytes
                ),
            ),
        ],
        tables: vec![Table {
            title: String::new(),
            columns: vec![
                "pair",
                "pages off node %",
                "GB/s",
                "ratio",
                "read ns",
                "ratio",
            ],
            rows: rows.iter().map(cells).collect(),
        }],
        notes,
        rows: serde_json::to_value(rows).unwrap_or_default(),
        plot: Plot::Bars {
            axis: "dependent read, ns".into(),
            logarithmic: false,
            bars: rows
                .iter()
                .map(|row| Bar {
                    name: format!("worker {}, slots {}", row.worker_node, row.slots_node),
                    length: row.read_latency_ns,
                    ours: row.worker_node == row.slots_node,
                })
                .collect(),
            limit: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_visits_each_of_its_lines_once() {
        let mut payload = vec![0; 100_000];
        path(&mut payload);
        let count = 1 << lines(&payload).ilog2();
        let spread = payload.len() / LINE / count;
        let mut seen = vec![false; count];
        let mut at = 0;
        for _ in 0..count {
            assert!(!std::mem::replace(&mut seen[at], true));
            let place = at * spread * LINE;
            at = u32::from_le_bytes(payload[place..place + 4].try_into().unwrap()) as usize;
        }
        assert_eq!((at, walk(&payload)), (0, count as u64));
    }

    #[test]
    fn every_pair_of_nodes_is_measured_and_one_node_is_said() {
        let settings = Settings {
            frame_bytes: 8192,
            rounds: 1,
        };
        let report = run(&settings, |_| ()).unwrap();
        let machine = topology::read(Path::new("/")).unwrap();
        let nodes = machine.machine.nodes.len();
        assert_eq!(
            report.rows.as_array().unwrap().len(),
            nodes * workers(&machine).len()
        );
        assert_eq!(report.notes.len() > 1, nodes <= 1);
        assert!(report.rows[0]["read_latency_ns"].as_f64().unwrap() > 0.0);
    }
}
