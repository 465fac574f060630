//! Memory on a machine with several nodes: the guest of `tests/vm`, which has two, with hugepages on
//! each. Each test boots it and runs itself inside; where the guest cannot be had it fails and says why.

use pinsight::profile::OnShortage;
use pinsight::sys::memory::hugepool;
use pinsight::sys::memory::{MemoryError, PageKind, Pages, Region, RegionRequest, lock_all};
use std::path::Path;
use std::process::Command;

/// Set for the part that runs inside.
const INSIDE: &str = "PINSIGHT_TEST_INSIDE";

const PAGE_BYTES: u64 = 2 << 20;

/// Runs the test of this name, `inside`, in the guest.
#[track_caller]
fn in_the_guest(name: &str, inside: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let itself = std::env::current_exe().unwrap();
    let output = Command::new(root.join("tests/vm/run"))
        .args(["--timeout", "7200"])
        .args(["--env", &format!("{INSIDE}=1"), "--"])
        .arg(itself)
        .args(["--ignored", "--exact", "--nocapture", name])
        .current_dir(root)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && words.contains("1 passed"),
        "in the guest: {}\n{words}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn request(bytes: u64, pages: Pages, node: usize, on_shortage: OnShortage) -> RegionRequest {
    RegionRequest {
        bytes,
        pages,
        node: Some(node),
        on_shortage,
    }
}

/// Free pages of 2 MiB on a node and on the machine.
fn free_pages(node: usize) -> (u64, u64) {
    let pool =
        |node| hugepool::read(Path::new("/"), PAGE_BYTES, node).expect("a pool of 2 MiB pages");
    (pool(Some(node)).free, pool(None).available())
}

#[test]
#[ignore = "boots the guest"]
fn hugepages_come_from_the_named_node_or_not_at_all() {
    in_the_guest("hugepages_come_from_the_named_node_or_not_at_all", || {
        let pages = Pages::Huge { bytes: PAGE_BYTES };
        for node in [1, 0] {
            let (on_node, on_machine) = free_pages(node);
            assert!(
                on_node >= 4 && on_machine > on_node,
                "{on_node} of {on_machine}"
            );

            let four = request(4 * PAGE_BYTES, pages, node, OnShortage::Refuse);
            let region = Region::map(&four).unwrap();
            assert_eq!(region.kind(), PageKind::Huge);
            assert_eq!(region.hugepage_bytes(), 4 * PAGE_BYTES);
            assert_eq!(region.placement().pages, 4);
            assert!(region.placement().all_on(node), "{:?}", region.placement());
            assert_eq!(free_pages(node), (on_node - 4, on_machine - 4));
            drop(region);

            // The machine has so many, the node has not: an error, and no SIGBUS at some touch.
            let bytes = (on_node + 1) * PAGE_BYTES;
            let error = Region::map(&request(bytes, pages, node, OnShortage::Refuse)).unwrap_err();
            let MemoryError::Pool {
                needed, available, ..
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!((needed, available), (on_node + 1, on_node));
            let text = error.to_string();
            assert!(
                text.contains(&format!("on node {node}: found {on_node} available")),
                "{text}"
            );
            assert!(text.contains(&format!("hugepages={node}:")), "{text}");
            assert_eq!(free_pages(node), (on_node, on_machine), "nothing is kept");

            // Other pages of the same node stand in.
            let all = Region::map(&request(
                on_node * PAGE_BYTES,
                pages,
                node,
                OnShortage::Fallback,
            ));
            let all = all.unwrap();
            assert_eq!(all.kind(), PageKind::Huge);
            let other = Region::map(&request(16 << 20, pages, node, OnShortage::Fallback)).unwrap();
            assert_ne!(other.kind(), PageKind::Huge);
            assert!(other.placement().all_on(node), "{:?}", other.placement());
            assert!(
                other.notes()[0].contains(&format!("on node {node}")),
                "{:?}",
                other.notes()
            );
        }
    });
}

#[test]
#[ignore = "boots the guest"]
fn a_region_mapped_after_everything_was_locked_is_on_its_node_too() {
    in_the_guest(
        "a_region_mapped_after_everything_was_locked_is_on_its_node_too",
        || {
            lock_all().unwrap();
            for node in [1, 0] {
                for pages in [Pages::Huge { bytes: PAGE_BYTES }, Pages::Plain] {
                    let region =
                        Region::map(&request(8 << 20, pages, node, OnShortage::Refuse)).unwrap();
                    assert!(region.placement().all_on(node), "{:?}", region.placement());
                }
            }
        },
    );
}
