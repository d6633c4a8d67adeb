import{a as o,b as m}from"./chunk-DT4FZHUO.js";import"./chunk-QP3MATMC.js";import"./chunk-744NFDEJ.js";import"./chunk-LF2JIR4K.js";import"./chunk-T4WWCC5Z.js";import"./chunk-43QHDL37.js";import"./chunk-SNMBC6G5.js";import"./chunk-BFRPY6KG.js";import"./chunk-6G2LNFDR.js";import"./chunk-R6QKTWDW.js";import"./chunk-3ASYKAMJ.js";import"./chunk-ZCYCVZOP.js";import"./chunk-HVVAQLXH.js";import"./chunk-S5HCH5DR.js";import"./chunk-QHS2OZXL.js";import"./chunk-O3KTPOYP.js";import"./chunk-6NDAIVIK.js";import"./chunk-PHYUJDOG.js";import"./chunk-VFYU2VO4.js";import"./chunk-MG22UODQ.js";import"./chunk-JV5DWZ5B.js";import{a as r}from"./chunk-YUSHYV7C.js";import"./chunk-SQE76S5B.js";var i=r(t=>`${o(t)}
  .swimlane.cluster:not([data-color-id]) rect {
    stroke: ${t.clusterBorder} !important;
  }
  [data-look="neo"].cluster rect {
    filter: none;
  }
`,"getStyles"),e=i,F=m({styles:e});export{F as diagram};
