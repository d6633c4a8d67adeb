import{a,b,c,d,e}from"./chunk-X7VLFEDG.js";import"./chunk-OOJM4CTU.js";export{d as Growing,c as WORDS,b as adopt,a as copyText,e as render};
