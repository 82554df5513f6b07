"""Checkpoints that a user gives, laid out as if they had been trained here, and evaluated where there are images."""


rule given:
    input:
        script=JOBS.script("given.py"),
        code=JOBS.given_imports,
        files=JOBS.given_files,
        card=JOBS.cell_card,
        data=ancient(JOBS.cell_data),
    output:
        run="<cells>/{cell}/seeds_{first}-{last}/run.json",
        metrics="<cells>/{cell}/seeds_{first}-{last}/metrics.csv",
        snapshots=directory("<cells>/{cell}/seeds_{first}-{last}/snapshots"),
    log:
        "<logs>/given/{cell}/seeds_{first}-{last}.log",
    benchmark:
        "<logs>/benchmarks/given/{cell}/seeds_{first}-{last}.tsv"
    wildcard_constraints:
        cell=cells_of("given"),
    priority: FIRST
    localrule: STORED
    conda:
        "../envs/atlas.yaml"
    threads: JOBS.threads
    resources:
        mem_mb=lambda wildcards: JOBS.need(wildcards).mem_mb,
        runtime=lambda wildcards: JOBS.need(wildcards).runtime,
        gpu=lambda wildcards: JOBS.need(wildcards).gpu,
        device=PLAN.config.device,
        jobs=PLAN.config.jobs_per_gpu,
    params:
        cell=JOBS.cell_settings,
        checkpoints=JOBS.given_checkpoints,
        fingerprint=JOBS.given_fingerprint,
    message:
        "reading {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --cell-id {wildcards.cell} --cell {params.cell:q} --files {params.checkpoints:q} "
        "--data {input.data:q} --card {input.card:q} --device {resources.device} --jobs-per-gpu {resources.jobs} "
        '--output "$(dirname {output.run:q})"'
