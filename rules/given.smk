"""Checkpoints that a user gives, laid out as if they had been trained here, and evaluated where there are pictures."""


rule given:
    input:
        script=script("given.py"),
        code=given_imports,
        files=given_files,
        card=cell_card,
        data=ancient(cell_data),
    output:
        run="<cells>/{cell}/seeds_{first}-{last}/run.json",
        metrics="<cells>/{cell}/seeds_{first}-{last}/metrics.csv",
        snapshots=directory("<cells>/{cell}/seeds_{first}-{last}/snapshots"),
    log:
        "<logs>/given/{cell}/seeds_{first}-{last}.log",
    benchmark:
        "<logs>/benchmarks/given/{cell}/seeds_{first}-{last}.tsv"
    wildcard_constraints:
        cell=r"given-[a-z0-9_.-]+",
    priority: FIRST
    conda:
        "../envs/atlas.yaml"
    threads: cell_threads
    resources:
        mem_mb=lambda wildcards: cell_need(wildcards).mem_mb,
        runtime=lambda wildcards: cell_need(wildcards).runtime,
    params:
        cell=cell_settings,
        fingerprint=given_fingerprint,
    message:
        "reading {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
    shell:
        "python {input.script:q} --cell-id {wildcards.cell} --cell {params.cell:q} --files {input.files:q} "
        "--data {input.data:q} --card {input.card:q} --output $(dirname {output.run:q}) > {log:q} 2>&1 "
        "|| {{ tail -n 20 {log:q} >&2; exit 1; }}"
