//! Cameras that fail and come back.

use crate::inside::camera::{
    Setting, control, disconnect, here, mappings, open_files, streaming, threads, write,
};
use crate::inside::running::runs;
use crate::inside::watch::Watch;
use pinsight::capture::SourceError;
use pinsight::capture::health::supervisor::Event;
use pinsight::capture::health::timestamps::Timestamps;
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::malloc_guard;
use pinsight::units::NS_PER_MS;

#[test]
#[ignore = "inside the guest"]
fn a_thousand_losses_of_the_device_leave_files_maps_slots_and_threads_as_they_were() {
    if here("plain") {
        let kinds = [Io::Userptr, Io::Mmap, Io::Dmabuf, Io::DmaHeap, Io::Copy];
        for io in kinds {
            let mut stage = streaming(PixelFormat::Grey, io);
            stage.next_frame();
            let slots = stage.source.slots().to_vec();
            let before = (open_files(), mappings(), threads());
            let begin = stage.now();
            for _ in 0..200 {
                disconnect();
                let error = loop {
                    match stage.dequeue() {
                        Ok(Some(frame)) => stage.lent[usize::from(frame.slot)] = false,
                        Ok(None) => {}
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.errno, nix::libc::ENODEV, "{io:?}: {error}");
                stage.reopen().unwrap();
                stage.queue_all();
                stage.start().unwrap();
                stage.next_frame();
            }
            assert_eq!(stage.source.slots(), slots);
            let after = (open_files(), mappings(), threads());
            assert_eq!(after, before, "{io:?}: files, maps, threads");
            let ms = (stage.now() - begin) / NS_PER_MS;
            println!("{io:?}: 200 losses in {ms} ms, {before:?} before and after");
        }
    }
}

#[test]
#[ignore = "inside the guest"]
fn damaged_buffers_and_total_loss_of_frames_are_survived() {
    if here("plain") {
        let mut watch = Watch::new(Io::Userptr);
        watch.until_frames(10);
        control("inject_v4l2_buf_flag_error=1");
        watch.until("a damaged frame", |watch| watch.damaged >= 1);
        watch.until_frames(10);
        let counts = *watch.supervisor.counts();
        assert_eq!(counts.damage_runs, 0, "one damaged frame restarts nothing");
        assert_eq!(counts.restarts, 1 + counts.time_outs, "{counts:?}");
        let none = Setting::new(
            "percentage_of_dropped_buffers=100",
            "percentage_of_dropped_buffers=0",
        );
        watch.until("a time-out", |watch| {
            watch.supervisor.counts().time_outs >= 2
        });
        drop(none);
        watch.until_frames(10);
        assert_eq!(watch.supervisor.trouble(), None);
    }
}

#[test]
#[ignore = "inside the guest"]
fn calls_that_fail_on_the_way_are_survived() {
    if here("plain") {
        for io in [Io::Userptr, Io::Mmap] {
            let mut watch = Watch::new(io);
            watch.until_frames(5);
            // Each is a call of a restart or a reopening, which the error asks for.
            for (fault, errno) in [
                ("inject_vidioc_qbuf_error", nix::libc::EIO),
                ("inject_vidioc_streamon_error", nix::libc::EIO),
                ("inject_vidioc_reqbufs_error", nix::libc::ENODEV),
            ] {
                let failures = watch.supervisor.counts().failed_attempts;
                control(&format!("{fault}=1"));
                let _ = watch.stage.stop();
                let error = SourceError::new("test", errno);
                watch
                    .supervisor
                    .observe(Event::Failed(error), watch.stage.now());
                watch.until("a failed attempt", |watch| {
                    watch.supervisor.counts().failed_attempts > failures
                });
                watch.until_frames(5);
            }
            control("inject_fatal_streaming_error=1");
            let restarts = watch.supervisor.counts().restarts;
            watch.until("a restart", |watch| {
                watch.supervisor.counts().restarts > restarts
            });
            watch.until_frames(5);
        }
    }
}

#[test]
#[ignore = "inside the guest"]
fn a_camera_that_is_gone_comes_back_by_what_it_is() {
    if here("plain") {
        let driver = "/sys/bus/platform/drivers/vivid";
        let _hot = malloc_guard::register_hot().unwrap();
        let _guard = malloc_guard::guard_on();
        for io in [Io::Userptr, Io::Mmap] {
            let mut watch = Watch::new(io);
            watch.until_frames(5);
            let (files, maps) = (open_files(), mappings());
            for _ in 0..3 {
                let (failed, reopens) = (
                    watch.supervisor.counts().failed_attempts,
                    watch.supervisor.counts().reopens,
                );
                write(&format!("{driver}/unbind"), "vivid.0");
                let before = malloc_guard::thread_counts().calls;
                watch.until("an attempt in vain", |watch| {
                    watch.supervisor.counts().failed_attempts > failed
                });
                let quiet = malloc_guard::thread_counts().calls == before;
                assert!(quiet, "losing a camera enters the heap");
                write(&format!("{driver}/bind"), "vivid.0");
                let before = malloc_guard::thread_counts().calls;
                watch.until("a reopening", |watch| {
                    watch.supervisor.counts().reopens > reopens
                });
                watch.until_frames(5);
                let quiet = malloc_guard::thread_counts().calls == before;
                assert!(quiet, "a reopened camera enters the heap");
            }
            println!("{io:?}: {:?}", watch.supervisor.counts());
            assert_eq!(
                (open_files(), mappings()),
                (files, maps),
                "nothing is left behind"
            );
        }
    }
}

#[test]
#[ignore = "inside the guest"]
fn a_sequence_number_that_wraps_is_followed_and_a_false_clock_not_believed() {
    if here("plain") {
        let wrapping = Setting::new("wrap_sequence_number=1", "wrap_sequence_number=0");
        let [first, last] = runs(PixelFormat::Nv12, Io::Userptr, 200);
        assert!(
            last < first,
            "the number wraps on the way from {first} to {last}"
        );
        drop(wrapping);
        let _wrapping = Setting::new("wrap_timestamp=1", "wrap_timestamp=0");
        let mut stage = streaming(PixelFormat::Nv12, Io::Userptr);
        let mut continuity = Timestamps::new(stage.source.format().interval_ns);
        continuity.restarted(stage.now());
        for _ in 0..60 {
            let frame = stage.next_frame();
            let now = stage.now();
            assert!(continuity.check(&frame, now).capture_ns <= now);
            stage.queue(frame.slot).unwrap();
        }
        println!("{:?}", continuity.counts());
    }
}
