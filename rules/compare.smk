"""Comparing these results with others: of another machine, version or config, or of a bundle that somebody sent."""


rule compare:
    input:
        script=JOBS.script("compare.py"),
        code=JOBS.imports("compare.py"),
        templates=workflow_files("report"),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        cards=JOBS.cards(),
        runs=JOBS.block_files("run.json"),
        snapshots=JOBS.snapshots(),
        other=compared_tables,
    output:
        directory("<results>/compare"),
    log:
        f"<logs>/compare/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/compare/{PLAN.config.name}.tsv"
    localrule: STORED
    conda:
        "../envs/atlas.yaml"
    params:
        other=compared,
    message:
        "comparing with {params.other}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        'python {input.script:q} "$(dirname {input.cells:q})" {params.other:q} --output {output:q} 2>&1 | tee {log:q}'
