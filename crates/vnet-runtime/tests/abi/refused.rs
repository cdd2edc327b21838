//! Modules that are refused, with the reason in words.

use vnet_runtime::{LoadOptions, Module, PluginError, Source, Stage, StageOptions};

use crate::support::*;

#[test]
fn unknown_imports_are_named() {
    for (import, part) in [
        (r#"(import "env" "foo" (func))"#, "env.foo"),
        (r#"(import "vnet" "foo" (func))"#, "vnet.foo"),
        (
            r#"(import "wasi_snapshot_preview1" "foo" (func))"#,
            "wasi_snapshot_preview1.foo",
        ),
        (
            r#"(import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
            "wasi_unstable.fd_write",
        ),
        (r#"(import "" "" (func))"#, "unknown function ."),
    ] {
        assert_refused(
            &simple(import, "(i32.const 0)"),
            &["imports the unknown function", part],
        );
    }
    assert_refused(
        &simple(r#"(import "vnet2" "log" (func))"#, "(i32.const 0)"),
        &["vnet2.log", "major version 2"],
    );
}

#[test]
fn imports_of_another_type_are_refused() {
    for (import, parts) in [
        (
            r#"(import "vnet" "log" (func (param i32 i32)))"#,
            ["vnet.log", "(param i32 i32 i32)"],
        ),
        (
            r#"(import "vnet" "log" (func (param i32 i32 i32) (result i32)))"#,
            ["vnet.log", "(func (param i32 i32 i32))"],
        ),
        (
            r#"(import "vnet" "count" (func (param i32 i32)))"#,
            ["vnet.count", "(param i32 i64)"],
        ),
        (
            r#"(import "vnet" "csum" (func (param f32)))"#,
            ["vnet.csum", "(type (func))"],
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#,
            ["fd_write", "(result i32)"],
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i32)))"#,
            ["fd_close", "one i32"],
        ),
        (
            r#"(import "env" "abort" (func))"#,
            ["env.abort", "(param i32 i32 i32 i32)"],
        ),
    ] {
        assert_refused(&simple(import, "(i32.const 0)"), &parts);
    }
}

#[test]
fn imports_that_are_not_functions_are_refused() {
    for (import, part) in [
        (r#"(import "vnet" "log" (global i32))"#, "the global vnet.log"),
        (
            r#"(import "env" "__indirect_function_table" (table 1 funcref))"#,
            "the table env.__indirect_function_table",
        ),
        (
            r#"(import "env" "memory" (memory 1))"#,
            "imports the memory env.memory",
        ),
    ] {
        let text = format!(
            r#"(module {import} (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0))
               {} (global (export "vnet_frame") i32 (i32.const 0)))"#,
            if import.contains("(memory") {
                ""
            } else {
                r#"(memory (export "memory") 1)"#
            }
        );
        assert_refused(&text, &[part]);
    }
}

#[test]
fn memories_of_other_kinds_are_refused() {
    let with = |memory: &str| {
        format!(
            r#"(module {memory} (global (export "vnet_frame") i32 (i32.const 0))
               (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#
        )
    };
    assert_refused(&with(r#"(memory (export "memory") i64 1)"#), &["64-bit memory"]);
    assert_refused(
        &with(r#"(memory (export "memory") 1 1 shared)"#),
        &["shared memory"],
    );
    assert_refused(
        &with(r#"(memory (export "memory") 1) (memory 1)"#),
        &["more than one memory"],
    );
    assert_refused(&with("(memory 1)"), &["does not export memory"]);
    assert_refused(
        &with(r#"(memory 1) (func (export "memory"))"#),
        &["the function `memory`"],
    );
}

#[test]
fn one_plugin_has_one_form() {
    let memory = r#"(memory (export "memory") 4) (global (export "vnet_frame") i32 (i32.const 0))"#;
    let on_packet = r#"(func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0))"#;
    let on_batch = r#"(func (export "vnet_on_batch") (param i32 i32) (result i32) (i32.const 0))"#;
    let info = r#"(func (export "vnet_info") (result i32) (i32.const 0))"#;
    let module = |parts: &[&str]| format!("(module {})", parts.concat());
    assert_refused(
        &module(&[memory, on_packet, on_batch, info]),
        &["vnet_on_packet", "vnet_on_batch", "one form"],
    );
    assert_refused(
        &module(&[memory, on_batch, info]),
        &["vnet_frame of the simple form", "one form"],
    );
    assert_refused(
        &module(&[r#"(memory (export "memory") 1)"#]),
        &["not a vnet plugin"],
    );
    assert_refused("(module)", &["not a vnet plugin"]);
    assert_refused(&module(&[memory]), &["does not export vnet_on_packet"]);
    let bare = r#"(memory (export "memory") 4)"#;
    assert_refused(&module(&[bare, on_packet]), &["does not export vnet_frame"]);
    assert_refused(&module(&[bare, on_batch]), &["does not export vnet_info"]);
    assert_refused(&module(&[bare, info]), &["does not export vnet_on_batch"]);
}

#[test]
fn exports_of_another_type_are_refused() {
    for (export, part) in [
        (
            r#"(func (export "_initialize") (result i32) (i32.const 0))"#,
            "_initialize",
        ),
        (r#"(func (export "vnet_configure"))"#, "vnet_configure"),
        (
            r#"(func (export "vnet_on_timer") (param i32 i32))"#,
            "vnet_on_timer",
        ),
        (r#"(func (export "vnet_save"))"#, "vnet_save"),
        (
            r#"(func (export "vnet_load") (param i32 i32 i32) (result i32) (i32.const 0))"#,
            "vnet_load",
        ),
        (r#"(func (export "vnet_maps"))"#, "vnet_maps"),
        (
            r#"(global (export "vnet_maps") i32 (i32.const 0))"#,
            "vnet_maps; it must be a function",
        ),
        (r#"(func (export "vnet_frame_cap"))"#, "vnet_frame_cap"),
    ] {
        assert_refused(&simple(export, "(i32.const 0)"), &["exports", part]);
    }
    let frame = |global: &str| {
        format!(
            r#"(module (memory (export "memory") 1) {global}
               (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#
        )
    };
    assert_refused(
        &frame(r#"(global (export "vnet_frame") i64 (i64.const 0))"#),
        &["vnet_frame as a global i64"],
    );
    assert_refused(&frame(r#"(func (export "vnet_frame"))"#), &["must be a global"]);
    assert_refused(
        r#"(module (memory (export "memory") 1) (global (export "vnet_frame") i32 (i32.const 0))
           (func (export "vnet_on_packet") (param i32) (result i32) (i32.const 0)))"#,
        &["vnet_on_packet", "(param i32 i32)"],
    );
}

#[test]
fn extra_exports_are_ignored() {
    let extra = r#"(func (export "my_own") (result f64) (f64.const 1)) (global (export "__heap_base") i32 (i32.const 1))"#;
    assert!(try_load(&simple(extra, "(i32.const 0)")).is_ok());
}

#[test]
fn functions_of_the_simple_form_are_refused_in_the_batch_form() {
    for import in [
        r#"(import "vnet" "csum" (func))"#,
        r#"(import "vnet" "set_len" (func (param i32)))"#,
    ] {
        assert_refused(
            &Batch {
                head: import.into(),
                ..Batch::default()
            }
            .text(),
            &["belongs to the simple form"],
        );
    }
}

#[test]
fn vn_info_is_checked() {
    let batch = Batch::default();
    let changed = |at: usize, bytes: &[u8]| {
        let mut info = batch.info();
        info[at..at + bytes.len()].copy_from_slice(bytes);
        batch.with_info(&info)
    };
    let word = |at: usize, value: u32| changed(at, &value.to_le_bytes());
    for (text, part) in [
        (changed(0, b"VNEX"), "must be \"VNET\""),
        (changed(4, &[2]), "version 2.0"),
        (changed(4, &[0]), "version 0.0"),
        (changed(6, &[1]), "version 1.1"),
        (word(8, 32), "desc_size is 32"),
        (word(8, 44), "desc_size is 44"),
        (word(8, !7), "ring ends at"),
        (word(12, 7), "ring_len is 7"),
        (word(12, 1025), "ring_len is 1025"),
        (word(12, 0), "ring_len is 0"),
        (word(16, RING + 4), "not a multiple of 8"),
        (word(16, 0xffff_fff8), "outside its memory"),
        (word(20, ARENA + 4), "not a multiple of 8"),
        (word(20, 4 * 65_536), "outside its memory"),
        (word(20, RING), "overlap"),
        (word(16, ARENA + 4096), "overlap"),
        (word(24, 16 * 191), "its slots have 128 bytes"),
        (word(24, 0), "its slots have 0 bytes"),
        (word(24, u32::MAX), "outside its memory"),
        (word(28, 8), "unknown"),
        (word(28, 0x8000_0001), "unknown"),
        (word(28, 1), "65792"),
    ] {
        assert_refused(&text, &[part]);
    }
    let info_at = |at: i64| {
        batch.text().replace(
            &format!("(result i32) (i32.const {INFO})"),
            &format!("(result i32) (i32.const {at})"),
        )
    };
    for at in [-1, 4 * 65_536, 4 * 65_536 - 31, i64::from(i32::MIN)] {
        assert_refused(&info_at(at), &["vnet_info answered"]);
    }
}

#[test]
fn precompiled_code_is_refused() {
    let part = "precompiled machine code";
    let elf = b"\x7fELF\x02\x01\x01\x00 and so on";
    assert!(
        try_load_bytes(elf.to_vec())
            .err()
            .unwrap()
            .to_string()
            .contains(part)
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.cwasm");
    std::fs::write(&path, wat::parse_str(simple("", "(i32.const 0)")).unwrap()).unwrap();
    let error = Module::load(&Source::File(path), &options()).err().unwrap();
    assert!(
        error.to_string().contains(part) && error.hint().unwrap().contains(".wasm"),
        "{error:?}"
    );
}

#[test]
fn what_is_no_module_is_refused() {
    for (bytes, part) in [
        (&b""[..], "is empty"),
        (b"\x89PNG\r\n", "not a WebAssembly module"),
        (b"hello", "not a WebAssembly module"),
        (b"\xff\xff\xff", "not a WebAssembly module"),
        (b"(module", "not valid text"),
        (b"(modul)", "not valid text"),
        (b"\0asm", "cut short"),
        (b"\0asm\x02\0\0\0", "not valid WebAssembly"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (b"\0asm\x01\0\0\0", "not a vnet plugin"),
        (b"\0asm\x01\0\0\0\x01", "cut short"),
    ] {
        let error = try_load_bytes(bytes).err().unwrap();
        assert!(matches!(error, PluginError::Rejected { .. }));
        assert!(error.to_string().contains(part), "{bytes:?}: {error}");
    }
}

#[test]
fn invalid_code_is_refused_with_the_place() {
    // A function whose body leaves an i64 where an i32 is promised.
    let mut wasm = wat::parse_str(simple("", "(i32.const 0)")).unwrap();
    let at = wasm
        .windows(3)
        .rposition(|window| window == [0x41, 0x00, 0x0b])
        .unwrap();
    wasm[at] = 0x42;
    let error = try_load_bytes(wasm).err().unwrap().to_string();
    assert!(
        error.contains("type mismatch") && error.contains("offset"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no_such.wasm");
    let error = |path: &std::path::Path| {
        Module::load(&Source::File(path.to_owned()), &LoadOptions::default())
            .err()
            .unwrap()
            .to_string()
    };
    let text = error(&missing);
    assert!(
        text.contains("no_such.wasm") && text.contains("No such file"),
        "{text}"
    );
    assert!(error(dir.path()).contains("is a directory"));
    assert!(
        error(std::path::Path::new("/dev/zero")).contains("not a WebAssembly module")
            || error(std::path::Path::new("/dev/zero")).contains("is the most")
    );
}

#[test]
fn a_wat_file_loads_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my_filter.wat");
    std::fs::write(
        &path,
        format!(";; a comment first\n{}", simple("", "(i32.const 1)")),
    )
    .unwrap();
    let module = Module::load(&Source::File(path), &options()).unwrap();
    assert_eq!(module.name(), "my_filter");
    assert!(Stage::new(&module, StageOptions::default()).is_ok());
}

#[test]
fn a_module_tells_what_it_imports_and_exports() {
    let module = load(&simple(r#"(import "vnet" "csum" (func))"#, "(i32.const 0)"));
    assert_eq!(module.imports(), ["vnet.csum"]);
    assert_eq!(module.exports(), ["memory", "vnet_frame", "vnet_on_packet"]);
    assert_eq!(module.form(), vnet_runtime::Form::Simple);
    assert!(module.size() > 50);
}
