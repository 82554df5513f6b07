"""The report: figures drawn from the tables, and a page rendered from both."""


rule draw_data:
    input:
        script=script("draw.py"),
        code=imports("draw.py"),
        cards=[f"data/{dataset}.json" for dataset in PLAN.datasets],
        data=ancient([f"data/{dataset}.safetensors" for dataset in PLAN.datasets]),
        config="<results>/config.json",
    output:
        directory("<results>/figures/data"),
    log:
        f"<logs>/draw/{PLAN.config.name}/data.log",
    benchmark:
        f"<logs>/benchmarks/draw/{PLAN.config.name}/data.tsv"
    conda:
        "../envs/atlas.yaml"
    message:
        "drawing the data sets"
    shell:
        "python {input.script:q} data --cards {input.cards:q} --data {input.data:q} --config {input.config:q} "
        "--output {output:q} > {log:q} 2>&1 || {{ tail -n 20 {log:q} >&2; exit 1; }}"


rule draw:
    input:
        script=script("draw.py"),
        code=study_imports,
        cells="<results>/cells.csv",
        tables="<results>/tables",
        measures=measure_directories,
        claims=os.path.relpath(BASE / "report" / "claims.yaml"),
        documents=os.path.relpath(BASE / "report" / "documents.yaml"),
        cards=[f"data/{dataset}.json" for dataset in PLAN.datasets],
    output:
        directory("<results>/figures/{study}"),
    log:
        f"<logs>/draw/{PLAN.config.name}/{{study}}.log",
    benchmark:
        f"<logs>/benchmarks/draw/{PLAN.config.name}/{{study}}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        chapter=study_chapter,
        form="page",
    message:
        "drawing the study {wildcards.study}"
    shell:
        "python {input.script:q} study --study {wildcards.study} --chapter {params.chapter} "
        "--cells {input.cells:q} --tables {input.tables:q} "
        "--measures $(dirname {input.tables:q})/measures --claims {input.claims:q} --documents {input.documents:q} "
        "--cards {input.cards:q} --form {params.form} --output {output:q} "
        "> {log:q} 2>&1 || {{ tail -n 20 {log:q} >&2; exit 1; }}"


rule render:
    input:
        script=script("render.py"),
        code=imports("render.py"),
        templates=report_sources(),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        data="<results>/figures/data",
        studies=[f"<results>/figures/{study}" for study in PLAN.config.asked],
        cards=[f"data/{dataset}.json" for dataset in PLAN.datasets],
    output:
        page=report("<results>/report/report.html", category="Report"),
        source="<results>/report/report.qmd",
    log:
        f"<logs>/render/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/render/{PLAN.config.name}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        templates=lambda wildcards, input: os.path.commonpath(input.templates),
    message:
        "rendering the report"
    shell:
        "python {input.script:q} --cells {input.cells:q} --tables {input.tables:q} --figures $(dirname {input.data:q}) "
        "--cards {input.cards:q} --config {input.config:q} --templates {params.templates:q} --output {output.page:q} "
        "> {log:q} 2>&1 || {{ tail -n 20 {log:q} >&2; exit 1; }}"
